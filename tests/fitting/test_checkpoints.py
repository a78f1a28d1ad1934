"""An interrupted fit resumes from its last checkpoint, and ends as if it had never stopped."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest
import torch
from lightning.pytorch.callbacks import Callback
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from zoo.data.sources import digits
from zoo.data.splits import Splits
from zoo.errors import ZooError
from zoo.fitting.checkpoints import Checkpoints
from zoo.fitting.gradient import Gradient
from zoo.model.autoencoder import build
from zoo.model.bottlenecks.pointwise import Pointwise
from zoo.model.corruptions import NoCorruption
from zoo.model.io import build_model
from zoo.model.likelihoods import GaussianLikelihood
from zoo.objective.objective import Objective

RUN = {"hash": "0123456789", "seed": 0}
EPOCHS, STOPPED = 5, 3  # STOPPED epochs are completed before the interruption


class Interrupted(Exception):
    """As if the process had been killed."""


class Interrupt(Callback):
    """End the fit after some epochs."""

    def __init__(self, after=STOPPED):
        self.after = after

    def on_train_epoch_start(self, trainer, pl_module):
        if trainer.current_epoch == self.after:
            raise Interrupted


def dropout(shape, in_features, out_features, channels):
    """A network that draws from torch's global generator."""
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(64, in_features), nn.Dropout(0.2))
    return encoder, nn.Sequential(nn.Linear(out_features, 64), nn.Unflatten(1, shape))


def small():
    return build((1, 8, 8), dropout, lambda: Pointwise(4), GaussianLikelihood(), NoCorruption(), seed=0)


def gradient(**settings):
    optimizer = lambda groups: torch.optim.AdamW(groups, lr=0.01)  # noqa: E731
    return Gradient(**{"optimizer": optimizer, "epochs": EPOCHS, "progress": False} | settings)


@pytest.fixture(scope="module")
def data():
    return Splits(digits)


@pytest.fixture
def checkpoints(tmp_path):
    return Checkpoints(tmp_path / "fit.ckpt", RUN, every=0)


def interrupted(fit, model, data, objective, checkpoints, after=STOPPED):
    with pytest.raises(Interrupted):
        replace(fit, checkpoints=checkpoints, callbacks=[Interrupt(after)])(model, data, objective, 0)
    assert checkpoints.epoch() == after


def assert_same(report, model, expected, expected_model):
    assert (report.epochs, report.best_epoch) == (expected.epochs, expected.best_epoch)
    assert report.history == expected.history
    found, wanted = model.state_dict(), expected_model.state_dict()
    assert [name for name in wanted if not torch.equal(found[name], wanted[name])] == []


VARIANTS = [  # and what each has of its own: noise, moving averages, counts of idle units, a discriminator, ...
    ["variant=vae"],
    ["variant=vq_vae"],
    ["variant=topk"],
    ["variant=denoising_conv_ae"],
    ["variant=aae"],
    ["variant=vae_gan", "fit.discriminator.filters=[4,8]"],
    ["variant=factor_vae", "fit.discriminator.hidden=[16]"],
    ["variant=sigma_vae", "optimizer=muon"],
    ["variant=bernoulli_vae", "fit=shifted", "schedule=burda"],
    ["variant=deep_ae", "optimizer=sgd", "optimizer.lr=1e-12", "fit.patience=4", "budget.epochs=9"],
]


@pytest.mark.parametrize("overrides", VARIANTS, ids=" ".join)
def test_a_resumed_fit_equals_an_uninterrupted_one_in_every_bit(compose_job, data, checkpoints, overrides):
    job = compose_job(f"budget.epochs={EPOCHS}", "hidden=[16]", *overrides)
    fit, objective = job.make("fit"), job.make("objective")

    def fresh():
        return build_model(job.config, data.shape, job.seed)

    expected = fit(expected_model := fresh(), data, objective, 0)
    interrupted(fit, fresh(), data, objective, checkpoints)
    report = replace(fit, checkpoints=checkpoints)(model := fresh(), data, objective, 0)
    assert_same(report, model, expected, expected_model)


def test_torchs_own_generator_continues(data, checkpoints):
    expected = gradient()(expected_model := small(), data, Objective(), 0)
    interrupted(gradient(), small(), data, Objective(), checkpoints)
    report = gradient(checkpoints=checkpoints)(model := small(), data, Objective(), 0)
    assert_same(report, model, expected, expected_model)


def test_images_that_are_drawn_anew_in_each_epoch_are_the_same(data, checkpoints):
    redrawn = Splits(lambda: replace(digits(), redrawn=True))
    expected = gradient()(expected_model := small(), redrawn, Objective(), 0)
    interrupted(gradient(), small(), redrawn, Objective(), checkpoints)
    report = gradient(checkpoints=checkpoints)(model := small(), redrawn, Objective(), 0)
    assert_same(report, model, expected, expected_model)


def test_a_fit_may_be_interrupted_again_and_again(data, checkpoints):
    expected = gradient()(expected_model := small(), data, Objective(), 0)
    for after in range(1, EPOCHS):
        interrupted(gradient(), small(), data, Objective(), checkpoints, after)
    report = gradient(checkpoints=checkpoints)(model := small(), data, Objective(), 0)
    assert_same(report, model, expected, expected_model)


def test_says_that_it_resumes_and_counts_the_seconds_before(data, checkpoints, caplog):
    interrupted(gradient(), small(), data, Objective(), checkpoints)
    saved = torch.load(checkpoints.path, weights_only=True)
    saved["fit"]["seconds"] = 1000.0
    torch.save(saved, checkpoints.path)
    with caplog.at_level(logging.WARNING):
        report = gradient(checkpoints=checkpoints)(small(), data, Objective(), 0)
    assert caplog.messages == [f"resumed after epoch 3 of 5, from {checkpoints.path}"]
    assert 1000 < report.seconds < 1100


# When a checkpoint is written, and when it is not used


@pytest.mark.parametrize("every", [60, 1e-9])
def test_short_fits_write_no_checkpoint(data, tmp_path, every):
    checkpoints = Checkpoints(tmp_path / "fit.ckpt", RUN, every)
    gradient(checkpoints=checkpoints)(small(), data, Objective(), 0)
    assert checkpoints.path.exists() == (every < 60)


def test_none_is_written_after_the_last_epoch(data, checkpoints):
    gradient(checkpoints=checkpoints)(small(), data, Objective(), 0)
    assert checkpoints.epoch() == EPOCHS - 1


@pytest.mark.parametrize("run", [{"hash": "another", "seed": 0}, RUN | {"versions": {"torch": "2.6"}}, {}])
def test_the_checkpoint_of_another_run_is_not_used(data, checkpoints, run, caplog):
    interrupted(gradient(), small(), data, Objective(), checkpoints)
    other = Checkpoints(checkpoints.path, run, every=60)
    assert other.epoch() is None
    expected = gradient()(expected_model := small(), data, Objective(), 0)
    report = gradient(checkpoints=other)(model := small(), data, Objective(), 0)
    assert_same(report, model, expected, expected_model)
    assert caplog.messages == []


def cut(path):
    path.write_bytes(path.read_bytes()[:-1000])


def code(path):
    torch.save({"run": RUN, "epoch": 3, "code": small()}, path)


def other_content(path):
    torch.save([RUN, 3], path)


@pytest.mark.parametrize("spoil", [cut, code, other_content, lambda path: path.write_bytes(b"")])
def test_a_file_that_is_no_checkpoint_is_not_used(data, checkpoints, spoil):
    interrupted(gradient(), small(), data, Objective(), checkpoints)
    spoil(checkpoints.path)
    assert checkpoints.epoch() is None
    assert gradient(checkpoints=checkpoints)(small(), data, Objective(), 0).epochs == EPOCHS


def test_a_checkpoint_that_cannot_be_written_ends_no_fit(data, tmp_path, caplog):
    (tmp_path / "file").write_text("")
    checkpoints = Checkpoints(tmp_path / "file" / "fit.ckpt", RUN, every=0)
    assert gradient(checkpoints=checkpoints)(small(), data, Objective(), 0).epochs == EPOCHS
    assert "no checkpoint can be written (File exists); the fit continues" in caplog.messages[0]


def test_a_fit_that_diverges_leaves_no_checkpoint(data, checkpoints):
    def diverging(optimizer, steps):
        return LambdaLR(optimizer, lambda step: 1.0 if step < 0.6 * steps else 1e30)

    with pytest.raises(ZooError, match=r"epoch 4: .* is not a finite number"):
        gradient(schedule=diverging, checkpoints=checkpoints)(small(), data, Objective(), 0)
    assert not checkpoints.path.exists()
