import hashlib
from dataclasses import replace

import pytest
import torch

from zoo.data.arrays import divided
from zoo.data.images import Batches, Images, shuffled
from zoo.data.splits import Splits


def numbered(n: int) -> Images:
    """n images of 1x1x2, the pixels of the i-th of which are i and i."""
    return Images(torch.arange(n, dtype=torch.uint8).view(n, 1, 1, 1).repeat(1, 1, 1, 2), torch.arange(n))


def order_of(batches: Batches) -> list[int]:
    return (torch.cat(list(batches))[:, 0, 0, 0] * 255).round().int().tolist()


def test_pixels_come_out_as_float32_in_unit_range_by_index_and_by_slice():
    images = Images(torch.tensor([0, 4, 8, 16], dtype=torch.uint8).view(4, 1, 1, 1), torch.zeros(4), scale=16)
    expected = torch.tensor([0, 0.25, 0.5, 1]).view(4, 1, 1, 1)
    index = torch.tensor([3, 0, 3])
    assert images[:].dtype is images[index].dtype is torch.float32
    assert torch.equal(images[:], expected)
    assert torch.equal(images[index], expected[index])
    assert len(images) == 4
    assert images.shape == (1, 1, 1)


def test_reading_float_images_leaves_the_stored_ones_untouched():
    images = Images(torch.rand(5, 3, 4, 4), torch.zeros(5), scale=2.0)
    before = images.pixels.clone()
    images[:].zero_()
    images[torch.arange(2)].zero_()
    assert torch.equal(images.pixels, before)
    assert torch.equal(images[:], before / 2)


def test_subset_keeps_images_labels_and_scale_together():
    images = Images(torch.arange(6, dtype=torch.uint8).view(6, 1, 1, 1), torch.arange(6) * 10, scale=5.0)
    part = images.subset(torch.tensor([4, 1]))
    assert part.labels.tolist() == [40, 10]
    assert part.pixels.flatten().tolist() == [4, 1]
    assert part.scale == 5.0


def test_batches_are_gathered_on_the_device_of_the_pixels():
    there = numbered(10).to("meta")  # a device without memory that every torch has
    assert {batch.device.type for batch in Batches(there, 4, seed=0)} == {"meta"}
    assert numbered(10).to("cpu").pixels.equal(numbered(10).pixels)


def test_unshuffled_batches_keep_the_order_and_the_last_partial_batch():
    batches = Batches(numbered(10), 4)
    assert len(batches) == 3
    assert [len(batch) for batch in batches] == [4, 4, 2]
    assert order_of(batches) == list(range(10))


def test_each_epoch_is_a_new_permutation_and_the_seed_determines_all():
    one, same, other = (Batches(numbered(50), 8, seed) for seed in (3, 3, 4))
    epochs = [order_of(one) for _ in range(3)]
    assert all(sorted(epoch) == list(range(50)) for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2] != epochs[0]
    assert [order_of(same) for _ in range(3)] == epochs
    assert order_of(other) != epochs[0]


def test_the_order_of_an_epoch_depends_on_its_number_and_not_on_the_epochs_before():
    batches = Batches(numbered(50), 8, seed=3)
    epochs = [order_of(batches) for _ in range(3)]
    late = Batches(numbered(50), 8, seed=3)
    late.set_epoch(1)
    assert [order_of(late) for _ in range(2)] == epochs[1:]


@pytest.mark.parametrize(("held", "most", "kept"), [(4 * 6 * 10, None, 10), (4 * 6 * 4, None, 4), (4 * 6 * 10, 3, 3)])
def test_spaced_samples_take_as_much_memory_as_allowed_and_no_more(monkeypatch, held, most, kept):
    monkeypatch.setattr("zoo.data.images.HELD", held)
    images = Images(torch.arange(60).view(10, 1, 2, 3).byte(), torch.arange(10))
    found = images.spaced(most)
    assert (found is images) == (kept == 10)
    assert len(found) <= kept
    step = -(-10 // kept)
    assert found.labels.tolist() == list(range(0, 10, step))
    assert torch.equal(found[:], images[:][::step])


def test_factors_stay_with_their_images(monkeypatch):
    factors = torch.stack([torch.arange(10), torch.arange(10) % 3], 1)
    images = replace(numbered(10), factors=factors)
    index = torch.tensor([7, 2])
    for copied in (1 << 28, 0):  # a subset is a copy, or a choice
        monkeypatch.setattr("zoo.data.images.COPIED", copied)
        part = images.subset(index).subset(torch.tensor([1]))
        assert part.factors.tolist() == [[2, 2]]
        assert part[:][0, 0, 0, 0] == pytest.approx(2 / 255)
    assert images.spaced(4).factors[:, 0].tolist() == [0, 3, 6, 9]
    assert torch.equal(images.binarised(torch.Generator()).factors, factors)
    assert images.to("meta").factors.device.type == "meta"
    assert numbered(10).subset(index).factors is None


def test_the_digest_changes_with_factors_and_is_as_before_without():
    plain, factors = numbered(10), torch.arange(20).view(10, 2)
    content = hashlib.sha256(b"255.0 0.0 10 (1, 1, 2) torch.uint8")
    content.update(bytes(plain.pixels.flatten().tolist()))
    content.update(plain.labels.numpy().tobytes())
    assert plain.digest() == content.hexdigest()
    digests = {replace(plain, factors=found).digest() for found in (None, factors, factors.flip(0))}
    assert len(digests) == 3


def test_an_order_in_32_bits_is_that_in_64():
    for n in (1, 2, 1000, 30_001):
        order = shuffled(n, torch.Generator().manual_seed(n))
        assert order.dtype == torch.int32
        assert torch.equal(order.long(), torch.randperm(n, generator=torch.Generator().manual_seed(n)))


def test_dividing_a_large_set_takes_few_bytes_a_sample(monkeypatch, allocated):
    monkeypatch.setattr("zoo.data.images.COPIED", 0)
    images = Images(torch.zeros(100_000, 1, 1, 1, dtype=torch.uint8), torch.zeros(100_000, dtype=torch.uint8))
    made = []
    assert allocated(lambda: made.append(Splits(divided("own", images, 0.2, 0, ())).train)) < 16 * len(images)
    assert made[0].chosen.dtype == torch.int32
    assert made[0].chosen.diff().min() > 0
    batches = Batches(made[0], 10_000, seed=0)
    assert allocated(lambda: next(iter(batches))) < 8 * len(images)
