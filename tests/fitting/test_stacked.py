"""Models fitted at once, compared with the same models fitted one after another."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace

import pytest
import torch

from zoo.data.images import Source
from zoo.data.sources import digits
from zoo.data.splits import Splits
from zoo.errors import ZooError
from zoo.fitting.augment import Shift
from zoo.fitting.gradient import KeepBest, record_epoch
from zoo.fitting.muon import Muon
from zoo.fitting.stacked import fit_stacked, stackable
from zoo.model.io import build_model
from zoo.objective.objective import Objective

SEEDS = (0, 1, 5)
SMALL = ("hidden=[32]", "budget.epochs=3", "budget.batch_size=200")  # 1293 images: the last batch holds 93
STACKABLE = {
    "conv_ae",
    "deep_ae",
    "denoising_pixelate_ae",
    "fsq",
    "lfq",
    "linear_ae",
    "linear_ae_tied",
    "overcomplete_ae",
    "rae_l2",
    "residual_ae",
    "shallow_ae",
}


@pytest.fixture
def data():
    return Splits(digits)


@pytest.fixture
def parts(compose_job, data):
    """Overrides -> the fit, one fresh model for each seed, and the objective; by AdamW, which works entry by entry."""

    def made(*overrides, small=SMALL):
        chosen = [] if any(o.startswith("optimizer=") for o in overrides) else ["optimizer=adamw"]
        job = compose_job(*small, *chosen, *overrides)
        models = [build_model(job.config, data.shape, seed) for seed in SEEDS]
        return job.make("fit"), models, job.make("objective")

    return made


def weights(model):
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


def compare(fit, models, data, objective, tolerance):
    """Fit copies of the models one by one, and the models at once; return the reports."""
    twins = deepcopy(models)
    assert stackable(fit, models, data, objective)
    apart = [fit(twin, data, objective, seed) for twin, seed in zip(twins, SEEDS, strict=True)]
    reports = fit_stacked(fit, models, data, objective, SEEDS)
    for one, other, model, twin in zip(reports, apart, models, twins, strict=True):
        assert (one.epochs, one.best_epoch) == (other.epochs, other.best_epoch)
        assert one.history.keys() == other.history.keys()
        for name, values in one.history.items():
            assert values == pytest.approx(other.history[name], rel=tolerance, abs=1e-5), name
        difference = (weights(model) - weights(twin)).norm() / weights(twin).norm()
        assert difference < tolerance
        assert model.training == twin.training
    return reports


# Equal results


@pytest.mark.parametrize(
    "overrides",
    [
        ["variant=linear_ae_tied"],
        ["variant=deep_ae"],
        ["variant=conv_ae", "network.filters=[4]"],
        ["variant=rae_l2", "objective.warmup=0.5"],
        ["variant=overcomplete_ae", "network=dictionary"],
        ["variant=conv_ae", "network.filters=[4]", "optimizer.weight_decay=1.0"],
        ["variant=deep_ae", "optimizer=momentum", "schedule=cosine", "fit.validate_every=2"],
    ],
    ids=" ".join,
)
def test_weights_and_history_equal_those_of_single_fits(parts, data, overrides):
    fit, models, objective = parts(*overrides)
    reports = compare(fit, models, data, objective, tolerance=1e-4)
    finals = [report.history["train_total"][-1] for report in reports]
    assert len(set(finals)) == len(SEEDS), "models of different seeds must differ"
    assert len({report.seconds for report in reports}) == 1


def test_each_model_keeps_its_own_best_epoch(parts, data):
    fit, models, objective = parts("variant=linear_ae", "budget.epochs=8", "optimizer.lr=0.3")
    reports = compare(fit, models, data, objective, tolerance=5e-3)  # this rate amplifies rounding
    assert len({report.best_epoch for report in reports}) > 1, "at this rate the best epochs should differ"
    for report in reports:
        totals = report.history["validation_total"]
        assert totals.index(min(totals)) + 1 == report.best_epoch


def test_dynamically_binarised_images_are_those_of_each_seed(parts):
    source = digits()
    compare(*parts("variant=deep_ae")[:2], Splits(replace(source, redrawn=True)), Objective(), tolerance=1e-4)


def test_mixed_precision_keeps_float32_weights(parts, data):
    fit, models, objective = parts("variant=deep_ae", "trainer.precision=bf16-mixed")
    exact = deepcopy(models)
    compare(fit, models, data, objective, tolerance=0.05)
    fit_stacked(replace(fit, precision="32-true"), exact, data, objective, SEEDS)
    for model, other in zip(models, exact, strict=True):
        assert weights(model).dtype == torch.float32
        assert not torch.equal(weights(model), weights(other))


def test_a_loss_of_one_model_that_is_not_finite_stops_the_fit(parts, data):
    fit, models, objective = parts("variant=deep_ae")
    with torch.no_grad():
        next(models[1].parameters()).fill_(1e30)
    with pytest.raises(ZooError, match=r"epoch 1: .*total.* not a finite number; lower optimizer\.lr"):
        fit_stacked(fit, models, data, objective, SEEDS)


@pytest.mark.parametrize(
    "overrides",
    [
        ["variant=deep_ae", "schedule=cosine"],
        ["variant=conv_ae", "network.filters=[4]", "optimizer=momentum"],
        ["variant=rae_l2", "objective.warmup=0.5", "fit.validate_every=2"],
    ],
    ids=" ".join,
)
def test_an_interrupted_fit_resumes_bit_for_bit(parts, data, tmp_path, monkeypatch, caplog, overrides):
    fit, models, objective = parts(*overrides, "budget.epochs=5")
    fit = fit.resuming(tmp_path / "kept.ckpt", {"seeds": list(SEEDS)}, 0)
    interrupted, resumed, other = deepcopy(models), deepcopy(models), deepcopy(models)
    whole = fit_stacked(replace(fit, checkpoints=None), models, data, objective, SEEDS)

    def cut(history, epoch, *rest):
        if epoch == 4:
            raise KeyboardInterrupt
        return record_epoch(history, epoch, *rest)

    with monkeypatch.context() as patch:
        patch.setattr("zoo.fitting.stacked.record_epoch", cut)
        with pytest.raises(KeyboardInterrupt):
            fit_stacked(fit, interrupted, data, objective, SEEDS)
    reports = fit_stacked(fit, resumed, data, objective, SEEDS)
    assert "resumed after epoch 3 of 5" in caplog.text
    assert [replace(one, seconds=0) for one in reports] == [replace(one, seconds=0) for one in whole]
    for one, expected in zip(resumed, models, strict=True):
        assert torch.equal(weights(one), weights(expected))

    caplog.clear()
    fit_stacked(fit.resuming(tmp_path / "kept.ckpt", {"seeds": [7]}, 1e6), other, data, objective, SEEDS)
    assert "resumed" not in caplog.text, "a checkpoint of other seeds"


def test_a_checkpoint_that_cannot_be_written_is_reported_and_the_fit_continues(parts, data, tmp_path, caplog):
    fit, models, objective = parts("variant=linear_ae")
    (tmp_path / "file").write_text("")
    reports = fit_stacked(fit.resuming(tmp_path / "file" / "kept.ckpt", {}, 0), models, data, objective, SEEDS)
    assert "no checkpoint can be written" in caplog.text
    assert [report.epochs for report in reports] == [3, 3, 3]


# What can be stacked


def test_which_variants_are_stackable(parts, data, variant):
    fit, models, objective = parts(f"variant={variant}", small=())
    state = [deepcopy(model.state_dict()) for model in models]
    random = torch.get_rng_state()
    assert stackable(fit, models, data, objective) == (variant in STACKABLE)
    assert torch.equal(torch.get_rng_state(), random)
    for model, before in zip(models, state, strict=True):
        for name, tensor in model.state_dict().items():
            torch.testing.assert_close(tensor, before[name], rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize(
    "setting",
    [
        {"clip": 1.0},
        {"patience": 1},
        {"augment": Shift(1)},
        {"callbacks": (KeepBest(),)},
        {"optimizer": torch.optim.Adagrad},
        {"optimizer": Muon},
    ],
    ids=lambda setting: next(iter(setting)),
)
def test_settings_that_need_single_fits(parts, data, setting):
    fit, models, objective = parts("variant=linear_ae")
    assert stackable(fit, models, data, objective)
    assert not stackable(replace(fit, **setting), models, data, objective)


def test_a_gradient_that_differs_from_that_of_one_model_is_detected(parts, data):
    class Stateful(Objective):
        """Depends on the number of calls."""

        calls = 0

        def __call__(self, *arguments):
            self.calls += 1
            return {name: value * self.calls for name, value in super().__call__(*arguments).items()}

    fit, models, _ = parts("variant=linear_ae")
    assert not stackable(fit, models, data, Stateful())


def test_few_images_take_the_steps_of_single_fits(parts, data):
    few = Splits(Source("few", data.train.subset(torch.arange(112)), data.test))
    fit, models, objective = parts("variant=linear_ae", "budget.batch_size=128")
    compare(fit, models, few, objective, 1e-4)
