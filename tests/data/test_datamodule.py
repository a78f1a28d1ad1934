from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import LambdaCallback
from torch import nn

from zoo.data.datamodule import ImageData
from zoo.data.images import Images, Source
from zoo.data.sources import digits
from zoo.errors import ZooError


def numbered(n: int, n_test: int = 3, channels: int = 1) -> Source:
    """A source whose i-th training image is filled with i."""
    pixels = torch.arange(n).to(torch.uint8).view(n, 1, 1, 1).repeat(1, channels, 2, 2)
    test = Images(torch.full((n_test, channels, 2, 2), 200, dtype=torch.uint8), torch.zeros(n_test))
    return Source("numbered", Images(pixels, torch.arange(n)), test, ("a", "b"))


def test_train_and_validation_divide_the_training_images_and_test_is_the_sources_own():
    source = numbered(40)
    data = ImageData(source, validation_fraction=0.25)
    assert len(data.validation) == 10
    assert sorted([*data.train.labels.tolist(), *data.validation.labels.tolist()]) == list(range(40))
    assert data.test is source.test
    assert (data.name, data.classes, data.shape) == ("numbered", ("a", "b"), (1, 2, 2))


def test_the_cut_depends_on_split_seed_alone_and_the_order_on_seed_alone():
    def cut(**seeds: int) -> list[int]:
        return ImageData(numbered(40), **seeds).validation.labels.tolist()

    def first_batch(**seeds: int) -> torch.Tensor:
        return next(iter(ImageData(numbered(40), batch_size=36, **seeds).train_dataloader()))

    assert cut(split_seed=1, seed=0) == cut(split_seed=1, seed=7) != cut(split_seed=2, seed=0)
    assert torch.equal(first_batch(seed=5), first_batch(seed=5))
    assert not torch.equal(first_batch(seed=5), first_batch(seed=6))


def test_a_function_is_read_once_however_often_setup_is_called():
    calls = []

    def source() -> Source:
        calls.append(1)
        return numbered(40)

    data = ImageData(source)
    assert not calls
    data.setup()
    train = data.train
    data.setup("fit")
    assert calls == [1]
    assert data.train is train


def test_loaders_give_whole_float_batches_of_their_own_part():
    data = ImageData(numbered(40, channels=3), batch_size=16, validation_fraction=0.25)
    train = list(data.train_dataloader())
    assert [tuple(batch.shape) for batch in train] == [(16, 3, 2, 2), (14, 3, 2, 2)]
    seen = (torch.cat(train)[:, 0, 0, 0] * 255).round().long().tolist()
    assert sorted(seen) == data.train.labels.tolist() != seen
    assert torch.equal(torch.cat(list(data.val_dataloader())), data.validation[:])


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.1, 1.5, float("nan")])
def test_a_validation_fraction_outside_the_open_unit_interval_is_refused(fraction):
    with pytest.raises(ZooError, match=f"validation_fraction is {fraction}"):
        ImageData(numbered(40), validation_fraction=fraction)


@pytest.mark.parametrize("seeds", [{"seed": -1}, {"split_seed": -1}])
def test_a_negative_seed_is_refused(seeds):
    with pytest.raises(ZooError, match="seed is -1"):
        ImageData(numbered(40), **seeds)


def test_a_batch_size_below_one_is_refused():
    with pytest.raises(ZooError, match="batch_size is 0"):
        ImageData(numbered(40), batch_size=0)


@pytest.mark.parametrize(("n", "fraction"), [(3, 0.1), (3, 0.9), (1, 0.5), (0, 0.5)])
def test_a_set_too_small_to_cut_is_refused(n, fraction):
    with pytest.raises(ZooError, match=f"numbered: of {n} training images"):
        ImageData(numbered(n), validation_fraction=fraction).setup()


def test_loaders_gather_batches_on_the_trainers_device():
    data = ImageData(numbered(40))
    data.trainer = SimpleNamespace(strategy=SimpleNamespace(root_device=torch.device("meta")))
    assert next(iter(data.train_dataloader())).device.type == next(iter(data.val_dataloader())).device.type == "meta"
    assert data.train.pixels.device.type == "cpu"


class Recorder(LightningModule):
    """A real fit by Lightning that keeps the mean pixel of each batch it was given."""

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
    trainer.fit(module, datamodule=ImageData(digits, seed=3), ckpt_path=resume)
    return module.seen


def test_lightning_sees_the_loaders_own_batches_and_a_resumed_fit_goes_on_with_the_next_epoch(tmp_path):
    loader = ImageData(digits, seed=3).train_dataloader()
    expected = [batch.mean().item() for _ in range(3) for batch in loader]
    checkpoint = tmp_path / "first.ckpt"
    assert fit(3) == expected
    assert fit(1, save=checkpoint) + fit(3, resume=checkpoint) == expected


def test_redrawn_images_are_black_and_white_with_grey_levels_as_probabilities():
    grey = Images(torch.full((400, 1, 4, 4), 64, dtype=torch.uint8), torch.arange(400))
    data = ImageData(Source("grey", grey, grey.subset(torch.arange(3)), redrawn=True), batch_size=64)
    loader = data.train_dataloader()
    first, second = (torch.cat(list(loader)) for _ in range(2))
    for images in (first, second, data.validation[:]):
        assert images.unique().tolist() == [0, 1]
        assert abs(images.mean().item() - 64 / 255) < 0.03
    assert not torch.equal(first, second), "an epoch has its own draw"
    assert torch.equal(torch.cat(list(data.train_dataloader())), first), "a seed determines the draws"
    assert torch.equal(torch.cat(list(data.val_dataloader())), torch.cat(list(data.val_dataloader())))
    assert data.train.pixels.unique().tolist() == [64], "evaluation sees training images as they are"
