import pytest
import torch
from sklearn.datasets import load_digits

from zoo.errors import ZooError
from zoo.model.corruptions import (
    Binarise,
    BlockMask,
    GaussianNoise,
    NoCorruption,
    Paper,
    PatchMask,
    Pixelate,
    PixelMask,
    SaltAndPepper,
    Stain,
    patch_side,
)

CORRUPTIONS = [
    NoCorruption(),
    GaussianNoise(0.3),
    BlockMask(0.5),
    PixelMask(0.4),
    SaltAndPepper(0.2),
    Pixelate(3),
    Stain(2, 1),
    PatchMask(0.5),
    PixelMask([0.1, 0.9]),
    SaltAndPepper([0.1, 0.5]),
    Pixelate([2, 4]),
]
NOISES = [GaussianNoise([0.1, 0.5]), Paper(folds=1, creases=1, rings=1, chance=1.0)]


@pytest.fixture(scope="module")
def x():
    return torch.from_numpy(load_digits().images).float()[:600, None] / 16


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("corruption", CORRUPTIONS + NOISES, ids=repr)
def test_contract(corruption, x):
    before = x.clone()
    seen, hidden = corruption(x, generator())
    again, mask = corruption(x, generator())
    assert torch.equal(x, before)
    assert torch.equal(seen, again)
    assert seen.shape == x.shape
    if hidden is None:
        assert type(corruption) is NoCorruption
        assert torch.equal(seen, x)
    else:
        assert torch.equal(hidden, mask)
        assert hidden.shape == (len(x), 1, 8, 8)
        assert ((hidden == 0) | (hidden == 1)).all()
        assert torch.equal(seen[hidden == 0], x[hidden == 0])
        assert not torch.equal(seen, x)


def test_binarisation_has_no_mask(x):
    seen, hidden = Binarise()(x)
    assert hidden is None
    assert torch.equal(seen, torch.where(x > 0.5, 1.0, 0.0))
    assert torch.equal(Binarise()(seen)[0], seen)


@pytest.mark.parametrize("corruption", [c for c in CORRUPTIONS if type(c) not in (NoCorruption, Pixelate)], ids=repr)
def test_seeds_differ_and_images_of_a_batch_differ(corruption, x):
    assert not torch.equal(corruption(x, generator(0))[0], corruption(x, generator(1))[0])
    same = torch.full((2, 1, 8, 8), 0.37)
    first, second = corruption(same, generator())[0]
    assert not torch.equal(first, second)


@pytest.mark.parametrize("corruption", CORRUPTIONS[2:], ids=repr)
def test_all_channels_share_the_mask(corruption):
    x = torch.rand(50, 3, 9, 6, generator=generator())
    seen, hidden = corruption(x, generator())
    assert seen.shape == x.shape
    if type(corruption) is not Pixelate:
        same_place = (seen != x).float().mean(1, keepdim=True)
        assert (same_place.round() == same_place).all()
        assert torch.equal(same_place, hidden)


def test_gaussian_noise_has_its_std(x):
    noise = GaussianNoise(0.3)(x, generator())[0] - x
    assert noise.std().item() == pytest.approx(0.3, rel=0.02)
    assert noise.mean().item() == pytest.approx(0, abs=0.01)


def test_rates_are_kept(x):
    assert PixelMask(0.4)(x, generator())[1].mean().item() == pytest.approx(0.4, abs=0.01)
    grey = torch.full((600, 1, 8, 8), 0.5)
    seen, hidden = SaltAndPepper(0.2)(grey, generator())
    assert hidden.mean().item() == pytest.approx(0.2, abs=0.01)
    assert (seen == 1).float().mean().item() == pytest.approx(0.1, abs=0.01)
    assert (seen == 0).float().mean().item() == pytest.approx(0.1, abs=0.01)


def test_extreme_rates(x):
    assert torch.equal(PixelMask(0.0)(x, generator())[0], x)
    assert torch.equal(PixelMask(1.0, fill=0.25)(x, generator())[0], torch.full_like(x, 0.25))
    assert torch.equal(SaltAndPepper(0.0)(x, generator())[0], x)
    assert torch.equal(Stain(0, 0)(x, generator())[0], x)


def test_block_covers_its_share(x):
    _, hidden = BlockMask(0.5)(x, generator())
    assert (hidden.flatten(1).sum(1) == 16).all()


def test_pixelate_by_hand():
    x = torch.arange(12.0).view(1, 1, 3, 4)
    expected = torch.tensor([[2.5, 2.5, 4.5, 4.5], [2.5, 2.5, 4.5, 4.5], [8.5, 8.5, 10.5, 10.5]])
    torch.testing.assert_close(Pixelate(2)(x)[0][0, 0], expected)
    assert torch.equal(Pixelate(1)(x)[0], x)
    torch.testing.assert_close(Pixelate(9)(x)[0], x.mean().expand_as(x))
    torch.testing.assert_close(Pixelate(10**9)(x)[0], x.mean().expand_as(x))
    torch.testing.assert_close(Pixelate([10**9, 10**9])(x)[0], x.mean().expand_as(x))


def test_stains_have_the_stated_size():
    x = torch.full((2000, 1, 40, 50), 2.0)
    _, blot = Stain(1, 0, radius=0.1)(x, generator())
    full = blot.flatten(1).sum(1).max().item()  # of the blots that lie inside the image
    # the area within r (1 + a sin) is pi r^2 (1 + a^2 / 2)
    assert full == pytest.approx(torch.pi * 4**2 * 1.045, rel=0.1)
    _, crease = Stain(0, 1, width=0.1)(x, generator())
    assert crease.flatten(1).sum(1).max().item() <= 1.1 * 4 * (40**2 + 50**2) ** 0.5
    assert crease.mean(dim=(1, 2, 3)).median().item() == pytest.approx(4 * 40 / 2000, rel=0.3)
    seen, both = Stain(1, 1)(x, generator())
    assert len(seen[0][both[0] == 1].unique()) == 2


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: PixelMask(1.5), "corruption.rate=1.5"),
        (lambda: SaltAndPepper(-0.1), "corruption.rate=-0.1"),
        (lambda: Pixelate(0), "corruption.size=0"),
        (lambda: Stain(blots=-1), "corruption.blots=-1"),
        (lambda: GaussianNoise(-1.0), "corruption.std=-1.0"),
        (lambda: BlockMask(0.0), "corruption.fraction=0.0"),
        (lambda: PatchMask(1.1), "corruption.rate=1.1"),
        (lambda: GaussianNoise([0.5, 0.2]), "corruption.std=.* give a range as"),
        (lambda: PixelMask([0.5, 1.5]), r"corruption.rate=.* is in \[0, 1\]"),
        (lambda: SaltAndPepper([0.1, 0.2, 0.3]), r"\[0.1, 0.2, 0.3\]: a range has two ends"),
        (lambda: Pixelate([0, 4]), "corruption.size="),
    ],
)
def test_values_out_of_range_are_refused(wrong, message):
    with pytest.raises(ZooError, match=message):
        wrong()


@pytest.mark.parametrize(("fraction", "sides"), [(0.01, (1, 1)), (0.3, (3, 6)), (0.5, (5, 10)), (1.0, (10, 20))])
def test_block_is_one_rectangle_anywhere_in_the_image(fraction, sides):
    x = torch.full((4000, 1, 10, 20), 0.5)
    seen, hidden = BlockMask(fraction, fill=0.25)(x, generator())
    assert torch.equal(seen, torch.where(hidden == 1, 0.25, 0.5))
    rows, columns = hidden[:, 0].amax(2), hidden[:, 0].amax(1)
    for touched, side, length in zip((rows, columns), sides, (10, 20), strict=True):
        assert (touched.sum(1) == side).all()
        first = touched.argmax(1)
        last = length - 1 - touched.flip(1).argmax(1)
        assert torch.equal(last - first, torch.full_like(first, side - 1))
        places = length - side + 1
        counts = first.bincount(minlength=places)
        assert len(counts) == places
        assert (counts - len(x) / places).abs().max() < 5 * (len(x) / places) ** 0.5
    assert (hidden.sum((1, 2, 3)) == sides[0] * sides[1]).all()


def test_patches_are_hidden_whole_as_many_in_every_image_and_anywhere():
    x = torch.rand(3000, 3, 28, 28, generator=generator()) + 0.1
    seen, hidden = PatchMask(0.75, fill=0.05)(x, generator())
    assert torch.equal(seen, torch.where(hidden == 1, 0.05, x))
    patches = torch.nn.functional.avg_pool2d(hidden, 4)
    assert patches.unique().tolist() == [0, 1]
    assert (patches.sum((1, 2, 3)) == 37).all()
    assert (patches.mean(0) - 37 / 49).abs().max() < 0.05
    assert len(patches.flatten(1).unique(dim=0)) == 3000


@pytest.mark.parametrize(("size", "side"), [((8, 8), 2), ((28, 28), 4), ((32, 32), 4), ((64, 64), 8), ((6, 9), 1)])
def test_side_of_patches(size, side):
    assert patch_side(*size) == side


@pytest.mark.parametrize("kind", [GaussianNoise, PixelMask, SaltAndPepper])
def test_every_image_draws_its_level_from_the_range(kind):
    x = torch.full((1000, 1, 40, 40), 0.5)
    seen, hidden = kind([0.2, 0.6])(x, generator())
    found = (seen - x).flatten(1).std(1) if kind is GaussianNoise else hidden.flatten(1).mean(1)
    assert found.min().item() == pytest.approx(0.2, abs=0.05)
    assert found.max().item() == pytest.approx(0.6, abs=0.05)
    assert found.mean().item() == pytest.approx(0.4, abs=0.02)
    assert found.std().item() == pytest.approx(0.4 / 12**0.5, rel=0.1)


def test_a_range_of_no_length_is_the_fixed_level(x):
    for kind, level in ((GaussianNoise, 0.3), (PixelMask, 0.3), (SaltAndPepper, 0.3), (Pixelate, 3)):
        fixed, ranged = kind(level)(x, generator())[0], kind([level, level])(x, generator())[0]
        torch.testing.assert_close(fixed, ranged, msg=kind.__name__)


def test_every_image_draws_its_size_of_blocks(x):
    seen, _ = Pixelate([1, 4])(x, generator())
    coarse = torch.stack([Pixelate(size)(x)[0] for size in (1, 2, 3, 4)])
    same = (coarse == seen).flatten(2).all(2)
    assert same.any(0).all()
    assert (same.sum(1) > 100).all()
