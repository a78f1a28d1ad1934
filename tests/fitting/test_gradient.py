"""The gradient fit of small models to the digits."""

from __future__ import annotations

import math
import signal
import weakref
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import pytest
import torch
from lightning.pytorch.callbacks import Callback
from torch.optim.lr_scheduler import LambdaLR

from zoo.arithmetic import flushes_denormals
from zoo.data.images import Batches, Images, Source
from zoo.data.sources import digits
from zoo.data.splits import Splits
from zoo.errors import ZooError
from zoo.fitting import gradient
from zoo.fitting.gradient import Gradient, calibrate, initialise_from_data, steps_batch
from zoo.fitting.progress import TERMS, latest_terms
from zoo.fitting.schedules import constant, one_cycle
from zoo.model.autoencoder import build
from zoo.model.bottlenecks.batch_topk import BatchTopK
from zoo.model.bottlenecks.pointwise import Pointwise
from zoo.model.bottlenecks.topk import TopK
from zoo.model.corruptions import GaussianNoise, NoCorruption
from zoo.model.io import build_model
from zoo.model.likelihoods import GaussianLikelihood
from zoo.model.networks.dictionary import dictionary
from zoo.model.networks.linear import linear
from zoo.model.networks.mlp import mlp
from zoo.objective.objective import Objective

STILL = 1e-50  # above 0, but 0 in float32: it changes no weight


@pytest.fixture
def data():
    return Splits(digits)


def model(corruption=NoCorruption(), width=4):  # noqa: B008 (it is frozen)
    return build((1, 8, 8), linear, lambda: Pointwise(width), GaussianLikelihood(), corruption, seed=0)


def sgd(lr):
    def optimizer(parameters):
        return torch.optim.SGD(parameters, lr=lr)

    return optimizer


def adam(lr):
    def optimizer(parameters):
        return torch.optim.Adam(parameters, lr=lr)

    return optimizer


def fit(**settings):
    return Gradient(**{"optimizer": adam(0.01), "epochs": 3, "progress": False} | settings)


def total(model, images):
    """The objective without corruption, by hand, over all images at once."""
    x = images[:]
    with torch.no_grad():
        return model.likelihood.nll(model.decoder(model.encode(x)), x).mean().item()


def weights(model):
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


# The weights kept, and the end of the fit


def test_keeps_the_weights_of_the_best_validation(data):
    def diverging(optimizer, steps):
        return LambdaLR(optimizer, lambda step: 1.0 if step < 0.6 * steps else 300.0)

    fitted = model()
    report = fit(epochs=10, schedule=diverging)(fitted, data, Objective(), seed=0)
    totals = report.history["validation_total"]
    assert report.epochs == len(totals) == 10
    assert report.best_epoch == 6
    assert totals[-1] > 2 * min(totals), "the last epochs should be bad"
    assert min(totals) == totals[report.best_epoch - 1]
    assert total(fitted, data.validation) == pytest.approx(min(totals), rel=1e-5)


@pytest.mark.parametrize(("patience", "validate_every", "epochs"), [(1, 1, 2), (3, 1, 4), (2, 2, 6), (None, 1, 9)])
def test_stops_after_the_given_number_of_validations_without_improvement(data, patience, validate_every, epochs):
    initialise_from_data(fitted := model(), data)
    before = weights(fitted)
    settings = {"optimizer": sgd(STILL), "patience": patience, "validate_every": validate_every, "epochs": 9}
    report = fit(**settings)(fitted, data, Objective(), seed=0)
    assert report.epochs == epochs
    assert report.best_epoch == validate_every, "the first of equal epochs is the best"
    assert torch.equal(weights(fitted), before)


def test_continues_while_there_is_improvement(data):
    report = fit(patience=1, epochs=6, batch_size=1000)(model(), data, Objective(), seed=0)
    totals = report.history["validation_total"]
    assert totals == sorted(totals, reverse=True)
    assert report.epochs == report.best_epoch == 6


@pytest.mark.parametrize(("validate_every", "validated"), [(1, [1, 2, 3, 4, 5]), (2, [2, 4]), (9, [5])])
def test_history_has_one_entry_per_validated_epoch(data, validate_every, validated):
    report = fit(epochs=5, validate_every=validate_every)(model(), data, Objective(), seed=0)
    assert report.history["epoch"] == validated
    terms = {f"{stage}_{term}" for stage in ("train", "validation") for term in ("total", "nll")}
    assert report.history.keys() == {"epoch", *terms}
    assert {len(values) for values in report.history.values()} == {len(validated)}
    assert report.epochs == 5
    assert report.best_epoch in validated


def test_seconds_are_those_of_the_fit_itself(data, monkeypatch):
    times = iter([100.0, 107.5])
    monkeypatch.setattr("zoo.fitting.gradient.time", SimpleNamespace(perf_counter=lambda: next(times)))
    assert fit(epochs=1)(model(), data, Objective(), seed=0).seconds == 7.5


# Steps


def test_history_is_the_mean_over_images_for_any_batch_size(data):
    fitted = model()
    for batch_size in (100, 10_000):  # the last batch of a hundred is smaller than the others
        settings = {"optimizer": sgd(STILL), "epochs": 1, "batch_size": batch_size}
        history = fit(**settings)(fitted, data, Objective(), seed=0).history
        assert history["train_total"] == pytest.approx([total(fitted, data.train)], rel=1e-5)
        assert history["validation_total"] == pytest.approx([total(fitted, data.validation)], rel=1e-5)


def test_one_step_is_the_gradient_of_the_objective(data):
    fitted, by_hand = model(), model()
    initialise_from_data(by_hand, data)
    fit(optimizer=sgd(1e-4), epochs=1, batch_size=10_000, matmul="highest")(fitted, data, Objective(), seed=0)
    x = data.train[:]
    by_hand.likelihood.nll(by_hand(x).raw, x).mean().backward()
    moved = weights(by_hand) - 1e-4 * torch.cat([p.grad.flatten() for p in by_hand.parameters()])
    torch.testing.assert_close(weights(fitted), moved, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("variant", ["topk", "gated"])
def test_terms_that_decode_have_their_gradient_by_hand(compose_job, variant):
    job = compose_job(f"variant={variant}")
    fitted, by_hand = (build_model(job.config, (1, 8, 8), seed=0) for _ in range(2))
    objective = job.make("objective")
    initialise_from_data(by_hand, data := Splits(digits))
    before = [p.detach().clone() for p in by_hand.parameters()]
    fit(optimizer=sgd(0.1), epochs=1, batch_size=10_000, matmul="highest")(fitted, data, objective, seed=0)
    x = data.train[:]
    objective(by_hand, x, by_hand(x), 0.0)["total"].backward()
    for was, now, wanted in zip(before, fitted.parameters(), by_hand.parameters(), strict=True):
        moved = -0.1 * wanted.grad
        assert (now - was - moved).norm() < 1e-2 * moved.norm()


def test_starts_from_images_of_the_whole_set():
    """Files come in the order of their classes: the first 10,000 may hold a single one."""
    labels = torch.arange(30_000) // 15_000
    images = Images(labels.float().view(-1, 1, 1, 1), labels, scale=1.0)
    fitted = build((1, 1, 1), mlp, lambda: Pointwise(1), GaussianLikelihood(), NoCorruption(), seed=0)
    initialise_from_data(fitted, Splits(Source("ordered", images, images)))
    assert fitted.decoder[-2].bias.item() == pytest.approx(0.5, abs=0.01)


def test_clips_the_gradient_to_its_norm(data):
    def step(clip):
        initialise_from_data(fitted := model(), data)
        before = weights(fitted)
        settings = {"optimizer": sgd(1e-4), "epochs": 1, "batch_size": 10_000, "clip": clip}
        fit(**settings)(fitted, data, Objective(), seed=0)
        return weights(fitted) - before

    free, clipped, loose = step(None), step(2.0), step(1e9)
    assert free.norm() > 10 * 1e-4 * 2.0
    assert clipped.norm().item() == pytest.approx(1e-4 * 2.0, rel=1e-3)
    torch.testing.assert_close(clipped / clipped.norm(), free / free.norm(), rtol=1e-3, atol=3e-4)
    assert torch.equal(loose, free)


def test_progress_goes_from_zero_to_one(data):
    class Watched(Objective):
        def __call__(self, model, x, step, progress=1.0):
            (seen if torch.is_grad_enabled() else validated).append(progress)
            return super().__call__(model, x, step, progress)

    seen, validated = [], []
    fit(epochs=4, batch_size=647)(model(), data, Watched(), seed=0)  # two steps an epoch
    assert seen == pytest.approx([step / 8 for step in range(8)])
    assert validated == [1.0] * 4, "validations during and after a warm-up are comparable"


def test_modules_that_start_from_data_receive_the_training_images(data):
    fitted = build((1, 8, 8), dictionary, lambda: TopK(80, 3), GaussianLikelihood(), NoCorruption(), seed=0)
    fit(optimizer=sgd(STILL), epochs=1)(fitted, data, Objective(), seed=0)
    torch.testing.assert_close(fitted.encoder[1].origin, data.train[:].mean(0).flatten())


class Foreign(torch.nn.Module):
    """A module from elsewhere whose methods have the names of abilities that it does not declare."""

    def forward(self, x):
        return x

    def _called(self, *arguments):
        raise AssertionError("a foreign method was called")

    start = start_from_data = attach = bind_encoder = _called


def test_foreign_methods_are_not_called_by_a_fit(data):
    def network(*arguments):
        encoder, decoder = linear(*arguments)
        return torch.nn.Sequential(Foreign(), *encoder), torch.nn.Sequential(*decoder, Foreign())

    fitted = build((1, 8, 8), network, lambda: Pointwise(4), GaussianLikelihood(), NoCorruption(), seed=0)
    fit(epochs=1)(fitted, data, Objective(), seed=0)


# Randomness


def test_the_noise_of_training_differs_by_epoch_and_that_of_validation_does_not(data):
    report = fit(optimizer=sgd(STILL), epochs=3)(model(GaussianNoise(0.5)), data, Objective(), seed=0)
    assert len(set(report.history["train_total"])) == 3
    assert len(set(report.history["validation_total"])) == 1


def test_the_seed_determines_order_and_noise_and_the_global_state_is_unchanged(data):
    def fitted(seed):
        made = model(GaussianNoise(0.5))
        report = fit()(made, Splits(digits), Objective(), seed)
        return weights(made), report.history

    state = torch.get_rng_state()
    first = fitted(0)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(123)
    again, other = fitted(0), fitted(1)
    assert torch.equal(again[0], first[0])
    assert again[1] == first[1]
    assert not torch.equal(other[0], first[0])


def test_a_fit_uses_its_own_threads_and_precision(data):
    inside = []

    class Watched(Objective):
        def __call__(self, *args):
            inside.append((torch.get_float32_matmul_precision(), torch.get_num_threads(), flushes_denormals()))
            return super().__call__(*args)

    before = torch.get_float32_matmul_precision(), torch.get_num_threads()
    fit(matmul="medium", threads=2, epochs=1)(model(), data, Watched(), seed=0)
    assert set(inside) == {("medium", 2, True)}
    assert (torch.get_float32_matmul_precision(), torch.get_num_threads()) == before


def test_a_step_in_mixed_precision_equals_one_by_hand(data):
    fitted, by_hand = model(), model()
    initialise_from_data(by_hand, data)
    settings = {"optimizer": sgd(1e-4), "epochs": 2, "batch_size": 500, "matmul": "highest"}
    fit(precision="bf16-mixed", **settings)(fitted, data, Objective(), seed=0)
    optimizer, batches = sgd(1e-4)(by_hand.parameters()), Batches(data.train, 500, seed=0)
    for _ in range(2):
        for x in batches:
            optimizer.zero_grad()
            with torch.autocast("cpu", torch.bfloat16):
                loss = by_hand.likelihood.nll(by_hand(x).raw, x).mean()
            loss.backward()
            optimizer.step()
    assert torch.equal(weights(fitted), weights(by_hand))


def test_mixed_precision_keeps_float32_weights(data):
    fitted = model(width=8)
    fit(precision="bf16-mixed", epochs=10)(fitted, data, Objective(), seed=0)
    assert {parameter.dtype for parameter in fitted.parameters()} == {torch.float32}
    exact = model(width=8)
    fit(epochs=10)(exact, data, Objective(), seed=0)
    assert total(fitted, data.validation) == pytest.approx(total(exact, data.validation), rel=0.05)
    assert not torch.equal(weights(fitted), weights(exact))


@pytest.mark.parametrize("fast", [True, False])
def test_bf16_on_a_processor_without_instructions_for_it_is_told(data, monkeypatch, caplog, fast):
    monkeypatch.setattr(gradient, "multiplies_bf16", lambda device: fast)
    gradient.tell_if_slow.cache_clear()
    for precision in ("32-true", "bf16-mixed"):
        fit(precision=precision, epochs=1)(model(), data, Objective(), seed=0)
    gradient.tell_if_slow.cache_clear()
    assert [record.getMessage() for record in caplog.records] == [
        "trainer.precision=bf16-mixed: the processor has no instructions for bf16; trainer.precision=32-true is faster "
        "here"
    ] * (not fast)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        pytest.param(
            {"accelerator": "gpu"},
            r"^trainer\.accelerator=gpu: .*No supported gpu backend found; choose trainer=cpu$",
            marks=pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here"),
        ),
        ({"precision": "bf17"}, r"^trainer\.precision=bf17: choose one of 32-true, bf16-mixed$"),
        ({"matmul": "fast"}, r"^trainer\.matmul=fast: choose one of auto, highest, high, medium$"),
    ],
)
def test_unavailable_hardware_and_unknown_precisions_are_refused(data, settings, message):
    with pytest.raises(ZooError, match=message):
        fit(**settings)(model(), data, Objective(), seed=0)


# Optimisers


@pytest.mark.parametrize("variant", ["linear_ae", "deep_ae"])
def test_every_optimiser_lowers_the_loss_at_its_own_rate(compose_job, fit_job, variant, optimizer):
    epochs = 15 if optimizer == "sgd" else 8  # it is the slowest
    job = compose_job(f"variant={variant}", f"optimizer={optimizer}", f"budget.epochs={epochs}")
    run = fit_job(job)
    fresh = build_model(job.config, run.data.shape, job.seed)
    losses = run.report.history["train_nll"]
    assert all(map(math.isfinite, losses))
    assert losses[-1] < losses[0], "diverged"
    assert max(losses[1:]) < losses[0] + 0.05 * abs(losses[0]), "increased during the fit"
    x = run.data.validation[:]
    before, after = ((m.reconstruct(x) - x).square().mean().item() for m in (fresh, run.model))
    constant_image = (x - run.data.train[:].mean()).square().mean().item()
    assert after < before
    assert after < constant_image, f"mse {before:.4f} -> {after:.4f}; a constant image: {constant_image:.4f}"


@pytest.fixture(scope="module")
def large():
    """The digits as 28x28 images with the squared norm of MNIST's, and so with a similar curvature of the loss."""
    train = digits().train
    pixels = torch.nn.functional.interpolate(train.pixels.float(), 28, mode="bilinear")
    pixels *= math.sqrt(100 / (pixels / train.scale).square().flatten(1).sum(1).mean())
    images = Images(pixels, train.labels, train.scale)
    return Splits(Source("large", images, images))


@pytest.mark.parametrize("variant", ["linear_ae", "deep_ae"])
def test_no_optimiser_diverges_on_images_as_large_as_mnists(compose_job, large, variant, optimizer):
    job = compose_job(f"variant={variant}", f"optimizer={optimizer}", "width=30", "budget.epochs=3")
    fitted = build_model(job.config, large.shape, job.seed)
    report = job.make("fit")(fitted, large, job.make("objective"), job.seed)
    losses = report.history["train_nll"]
    assert losses[-1] < losses[0], losses


def test_the_rate_of_an_optimiser_can_be_overridden(compose_job):
    optimiser = compose_job("variant=deep_ae", "optimizer=momentum", "optimizer.lr=0.5").make("fit").optimizer
    group = optimiser([torch.zeros(1, requires_grad=True)]).param_groups[0]
    assert (group["lr"], group["momentum"], group["nesterov"]) == (0.5, 0.9, False)


# Errors and the progress bar


@pytest.mark.parametrize("schedule", [constant, lambda o, n: LambdaLR(o, lambda step: 0.0 if step < n / 2 else 1e20)])
def test_a_loss_that_is_not_finite_stops_the_fit_with_advice(data, schedule):
    settings = {"optimizer": sgd(1e10), "schedule": schedule, "epochs": 4, "batch_size": 100}
    with pytest.raises(ZooError, match=r"epoch \d: .*total.* not a finite number; lower optimizer\.lr .* fit\.clip"):
        fit(**settings)(model(), data, Objective(), seed=0)


def test_the_advice_names_the_rate_that_was_set(data):
    settings = {"optimizer": sgd(1e10), "schedule": one_cycle, "epochs": 4, "batch_size": 100}
    with pytest.raises(ZooError, match=r"lower optimizer\.lr \(1e\+10\) or set fit\.clip$"):
        fit(**settings)(model(), data, Objective(), seed=0)


@pytest.mark.parametrize("name", ["epochs", "batch_size", "validate_every", "threads"])
@pytest.mark.parametrize("value", [0, -1, 1.5])
def test_invalid_numbers_are_refused(name, value):
    with pytest.raises(ZooError, match=rf"{name}={value}: must be a whole number, at least 1"):
        replace(fit(), **{name: value})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"clip": -1.0}, r"^fit\.clip=-1\.0: must be greater than 0"),
        ({"clip": 0}, r"^fit\.clip=0: must be greater than 0"),
        ({"clip": math.nan}, r"^fit\.clip=nan"),
        ({"clip": math.inf}, r"^fit\.clip=inf"),
        ({"clip": True}, r"^fit\.clip=True"),
        ({"patience": -1}, r"^fit\.patience=-1: must be a whole number, at least 1$"),
        ({"patience": 0}, r"^fit\.patience=0"),
        ({"patience": True}, r"^fit\.patience=True"),
        ({"epochs": True}, r"^epochs=True"),
        ({"schedule": partial(one_cycle, warmup=5)}, r"^schedule\.warmup=5: .* less than 1$"),
    ],
    ids=lambda value: value if isinstance(value, str) else next(iter(value)),
)
def test_a_number_out_of_range_is_refused(settings, message):
    with pytest.raises(ZooError, match=message):
        fit(**settings)


def test_the_bar_shows_epochs_and_terms(data, capsys):
    fit(progress=True, epochs=2)(model(), data, Objective(), seed=0)
    shown = capsys.readouterr().out
    assert "2/2" in shown
    assert "nll" in shown
    assert "val " in shown


def test_the_bar_shows_the_terms_of_the_last_epoch(data, capsys):
    history = fit(progress=True, epochs=2)(model(), data, Objective(), seed=0).history
    last = capsys.readouterr().out
    for name, title in {"train_total": "total", "train_nll": "nll", "validation_total": "val"}.items():
        assert f"{title} {history[name][-1]:.4g}" in last


def test_the_terms_of_the_bar_fit_their_columns():
    terms = ("total", "nll", "mutual_information", "total_correlation", "dimension_wise_kl")
    shown = latest_terms({f"{stage}_{term}": [-1234.5] for stage in ("train", "validation") for term in terms})
    assert shown == "total -1234 nll -1234 val -1234"
    assert len(shown) <= TERMS
    assert latest_terms({}) == ""


def test_without_the_bar_nothing_is_printed(data, capfd):
    fit(epochs=1)(model(), data, Objective(), seed=0)
    assert capfd.readouterr() == ("", "")


def test_an_interrupted_fit_raises_what_ctrl_c_raises(compose_job):
    """Lightning would leave the interpreter with status 1."""

    class Interrupt(Callback):
        def on_train_epoch_end(self, trainer, pl_module):
            raise KeyboardInterrupt

    job = compose_job("variant=linear_ae")
    data, handler = job.make("data"), signal.getsignal(signal.SIGINT)
    model = build_model(job.config, data.shape, job.seed)
    fit = replace(job.make("fit"), callbacks=(Interrupt(),))
    with pytest.raises(KeyboardInterrupt):
        fit(model, data, job.make("objective"), job.seed)
    assert signal.getsignal(signal.SIGINT) is handler


# Few images


@pytest.mark.parametrize(
    ("images", "given", "batch_size"),
    [
        (54_000, 256, 256),
        (1293, 64, 64),
        (1293, 10_000, 10_000),  # a large batch of many images is used as it is given
        (270, 16, 16),
        (999, 128, 100),
        (91, 128, 11),  # and not 10, which would leave one image
        (91, 4, 4),
        (30, 128, 8),
        (8, 128, 8),
        (1, 128, 8),
    ],
)
def test_few_images_are_fitted_with_smaller_batches(images, given, batch_size):
    assert steps_batch(images, given) == batch_size


def test_few_images_take_ten_steps_an_epoch_and_this_is_logged_once(data, caplog):
    steps_batch.cache_clear()
    few = Splits(Source("few", data.train.subset(torch.arange(112)), data.test))
    seen = []

    class Watched(Objective):
        def __call__(self, model, x, step, progress):
            if model.training:
                seen.append(len(x))
            return super().__call__(model, x, step, progress)

    for _ in range(2):
        seen.clear()
        fit(epochs=2, batch_size=128)(model(), few, Watched(), seed=0)
    assert len(few.train) == 101
    assert seen == 2 * [*9 * [11], 2]
    text = "101 training samples: 11 samples per step instead of 128, for 10 steps an epoch"
    assert [record.getMessage() for record in caplog.records] == [text]


def test_a_calibration_sees_few_images_and_holds_one_batch(data, monkeypatch):
    seen = []

    class Watching(BatchTopK):
        def calibrate(self, inputs):
            for h in inputs:
                seen.append((len(h), weakref.ref(h)))
                del h
                assert sum(batch() is not None for _, batch in seen) <= 1

    monkeypatch.setattr("zoo.fitting.gradient.CALIBRATING_IMAGES", 60)
    monkeypatch.setattr("zoo.fitting.gradient.CALIBRATING_BATCH", 20)
    watched = build((1, 8, 8), linear, lambda: Watching(40, 3), GaussianLikelihood(), NoCorruption(), seed=0)
    calibrate(watched, data)
    sizes = [size for size, _ in seen]
    assert len(sizes) > 1
    assert max(sizes) == 20
    assert 30 < sum(sizes) <= 60 < len(data.validation)
