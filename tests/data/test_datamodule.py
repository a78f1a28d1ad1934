from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import LambdaCallback
from torch import nn

from zoo.data.datamodule import DataModule
from zoo.data.images import Images, Source
from zoo.data.sources import digits
from zoo.data.splits import Splits
from zoo.errors import ZooError


def numbered(n: int, n_test: int = 3, channels: int = 1) -> Source:
    """A source whose i-th training image is filled with i."""
    pixels = torch.arange(n).to(torch.uint8).view(n, 1, 1, 1).repeat(1, channels, 2, 2)
    test = Images(torch.full((n_test, channels, 2, 2), 200, dtype=torch.uint8), torch.zeros(n_test))
    return Source("numbered", Images(pixels, torch.arange(n)), test, ("a", "b"))


def test_train_and_validation_divide_the_training_images_and_test_is_the_sources_own():
    source = numbered(40)
    data = Splits(source, validation_fraction=0.25)
    assert len(data.validation) == 10
    assert sorted([*data.train.labels.tolist(), *data.validation.labels.tolist()]) == list(range(40))
    assert data.test is source.test
    assert (data.name, data.classes, data.shape) == ("numbered", ("a", "b"), (1, 2, 2))


def test_the_split_depends_on_split_seed_and_the_order_on_seed():
    def validation(split_seed: int) -> list[int]:
        return Splits(numbered(40), split_seed=split_seed).validation.labels.tolist()

    def first_batch(seed: int) -> torch.Tensor:
        return next(iter(DataModule(Splits(numbered(40)), batch_size=36, seed=seed).train_dataloader()))

    assert validation(1) == validation(1) != validation(2)
    assert torch.equal(first_batch(5), first_batch(5))
    assert not torch.equal(first_batch(5), first_batch(6))


def test_a_source_is_read_once_for_any_number_of_calls():
    calls = []

    def source() -> Source:
        calls.append(1)
        return numbered(40)

    splits = Splits(source)
    data = DataModule(splits)
    assert not calls
    data.setup()
    train = splits.train
    data.setup("fit")
    assert calls == [1]
    assert splits.train is train


def test_loaders_give_float_batches_of_their_own_part():
    splits = Splits(numbered(40, channels=3), validation_fraction=0.25)
    data = DataModule(splits, batch_size=16)
    train = list(data.train_dataloader())
    assert [tuple(batch.shape) for batch in train] == [(16, 3, 2, 2), (14, 3, 2, 2)]
    seen = (torch.cat(train)[:, 0, 0, 0] * 255).round().long().tolist()
    assert sorted(seen) == splits.train.labels.tolist() != seen
    assert torch.equal(torch.cat(list(data.val_dataloader())), splits.validation[:])


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.1, 1.5, float("nan")])
def test_a_validation_fraction_outside_the_open_unit_interval_is_refused(fraction):
    with pytest.raises(ZooError, match=rf"data\.validation_fraction={fraction}: must be between 0 and 1"):
        Splits(numbered(40), validation_fraction=fraction)


def test_a_negative_seed_is_refused():
    with pytest.raises(ZooError, match=r"^data\.split_seed=-1: must be 0 or more"):
        Splits(numbered(40), split_seed=-1)
    with pytest.raises(ZooError, match=r"^seed=-1: must be 0 or more"):
        DataModule(Splits(numbered(40)), seed=-1)


def test_a_batch_size_below_one_is_refused():
    with pytest.raises(ZooError, match="batch_size=0: must be 1 or more"):
        DataModule(Splits(numbered(40)), batch_size=0)


@pytest.mark.parametrize(("n", "fraction"), [(2, 0.9), (3, 0.9), (1, 0.5), (0, 0.5)])
def test_a_set_too_small_to_split_is_refused(n, fraction):
    with pytest.raises(ZooError, match=f"of the {n} training samples of numbered, but"):
        DataModule(Splits(numbered(n), validation_fraction=fraction)).setup()


@pytest.mark.parametrize("n", [2, 3, 5])
def test_a_few_samples_keep_one_for_validation(n):
    splits = Splits(numbered(n), validation_fraction=0.1)
    assert (len(splits.train), len(splits.validation)) == (n - 1, 1)


def test_loaders_gather_batches_on_the_trainers_device():
    splits = Splits(numbered(40))
    data = DataModule(splits)
    data.trainer = SimpleNamespace(strategy=SimpleNamespace(root_device=torch.device("meta")))
    assert next(iter(data.train_dataloader())).device.type == next(iter(data.val_dataloader())).device.type == "meta"
    assert splits.train.pixels.device.type == "cpu"


class Recorder(LightningModule):
    """A Lightning module that keeps the mean pixel of each training batch."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(64, 1)
        self.seen: list[float] = []

    def training_step(self, x: torch.Tensor) -> torch.Tensor:
        self.seen.append(x.mean().item())
        return self.layer(x.flatten(1)).square().mean()

    def validation_step(self, x: torch.Tensor) -> None:
        assert x.dtype is torch.float32

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 1e-3)


def fit(epochs: int, save: Path | None = None, resume: Path | None = None) -> list[float]:
    trainer = Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        callbacks=LambdaCallback(on_train_epoch_end=lambda trainer, _: trainer.save_checkpoint(save)) if save else None,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    module = Recorder()
    trainer.fit(module, datamodule=DataModule(Splits(digits), seed=3), ckpt_path=resume)
    return module.seen


def test_lightning_receives_the_loaders_batches_and_a_resumed_fit_continues_with_the_next_epoch(tmp_path):
    loader = DataModule(Splits(digits), seed=3).train_dataloader()
    expected = [batch.mean().item() for _ in range(3) for batch in loader]
    checkpoint = tmp_path / "first.ckpt"
    assert fit(3) == expected
    assert fit(1, save=checkpoint) + fit(3, resume=checkpoint) == expected


def test_dynamically_binarised_images_are_binary_with_grey_levels_as_probabilities():
    grey = Images(torch.full((400, 1, 4, 4), 64, dtype=torch.uint8), torch.arange(400))
    splits = Splits(Source("grey", grey, grey.subset(torch.arange(3)), redrawn=True))
    data = DataModule(splits, batch_size=64)
    loader = data.train_dataloader()
    first, second = (torch.cat(list(loader)) for _ in range(2))
    for images in (first, second, splits.validation[:]):
        assert images.unique().tolist() == [0, 1]
        assert abs(images.mean().item() - 64 / 255) < 0.03
    assert not torch.equal(first, second), "each epoch has its own random numbers"
    assert torch.equal(torch.cat(list(data.train_dataloader())), first), "the seed determines them"
    assert torch.equal(torch.cat(list(data.val_dataloader())), torch.cat(list(data.val_dataloader())))
    assert splits.train.pixels.unique().tolist() == [64], "evaluation uses the grey training images"
