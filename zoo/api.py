"""The Python interface: fit, use, save, load and measure any method, in the units and shapes of your data."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from zoo.data.arrays import images_of, numbered
from zoo.data.images import Images, Source
from zoo.data.splits import Splits
from zoo.density.feasible import feasible
from zoo.errors import ZooError
from zoo.evaluation.batches import BATCH, joined
from zoo.evaluation.measures.bounds import SCORING, importance_bounds
from zoo.hub import ADDRESS, download
from zoo.model.autoencoder import Autoencoder
from zoo.model.io import build_model, kept_codes, read_model, save_model
from zoo.options import Node
from zoo.options import build as build_part
from zoo.runs.compose import composed, composing, trusted_in
from zoo.runs.job import Job
from zoo.samples import Form, Kind, as_tensor, feature_names, form_of, in_order
from zoo.types import BindsCodebook, Discrete, DrawsCodes, FitReport, HasPrior

LEAST = 4  # samples, of which half are learned from, and some of these are held out
SIDES = ("train", "test")
OWN = {"image": "array", "vector": "table", "counts": "table"}  # options of the data axis, whose defaults serve


@dataclass(frozen=True, eq=False, repr=False)
class Model:
    """A fitted bottleneck, with NumPy arrays (or tensors) in and NumPy arrays out.

    Samples have the units and the shape of the data that the model was fitted to; flattened samples are accepted.

    Attributes:
        module: the PyTorch model; its input are scaled float tensors (N, C, H, W), made by `form.inward`.
        form: kind, shape and scaling of the samples.
        config: the options of all axes by name and value.
        seed: of the fit.
        codes: up to 2,000 codes of training samples, for densities: (M, D).
        report: duration and history of the fit; None for a model from a file.
        data: the splits of the fit; None for a model from a file.
    """

    module: Autoencoder
    form: Form
    config: dict[str, Node]
    seed: int
    codes: Tensor
    report: FitReport | None = None
    data: Splits | None = field(default=None, repr=False)

    def __repr__(self) -> str:
        parts = ", ".join(f"{axis}={self.config[axis]['option']}" for axis in ("network", "bottleneck"))
        shape = ", ".join(map(str, self.form.shape))
        return f"<zoo.Model {parts}, width={self.width}, of {self.form.kind} samples (N, {shape})>"

    @property
    def width(self) -> int:
        """D, the number of units of the code."""
        return self.module.bottleneck.out_features

    def encode(self, x: ArrayLike | Tensor) -> NDArray[np.float32]:
        """Deterministic codes of samples: (N, *shape) -> (N, D)."""
        whole = self._whole(x)
        with torch.no_grad():
            return joined((self.module.encode(batch).float() for batch in self._batches(whole)), len(whole)).numpy()

    def decode(self, z: ArrayLike | Tensor) -> NDArray[np.float32]:
        """Expected samples of codes: (N, D) -> (N, *shape), float32.

        Limitation: a Gaussian likelihood may leave the range of the data; clip before turning values into bytes.

        Raises:
            ZooError: another shape.
        """
        codes = as_tensor(z)
        if codes.ndim != 2 or codes.shape[1] != self.width:
            raise ZooError(f"codes of shape {tuple(codes.shape)}: this model decodes (N, {self.width})")
        if codes.is_floating_point() and not codes.isfinite().all():
            raise ZooError("the codes hold values that are not finite (nan or inf)")
        with torch.no_grad():
            parts = [
                self.form.outward(self.module.decode(part.to(next(self.module.parameters()))))
                for part in torch.split(codes, BATCH)
            ]
        return np.concatenate(parts)

    def reconstruct(self, x: ArrayLike | Tensor) -> NDArray[np.float32]:
        """`decode(encode(x))`: (N, *shape) -> (N, *shape)."""
        return self.decode(self.encode(x))

    def sample(self, n: int, seed: int = 0, density: str | None = None, **settings: Any) -> NDArray[np.float32]:
        """New samples: (n, *shape), decoded from codes drawn from the model's prior, or from a density of its codes.

        Args:
            n: number of samples.
            seed: determines the samples.
            density: an option of the axis `density` ("gaussian", "mixture", "kernel", "flow", ...), fitted to the codes
                of training samples; None for the prior, and for a Gaussian where the model has none. Draws are moved to
                the nearest codes that a sparse or discrete bottleneck can emit.
            settings: of the density.

        Raises:
            ZooError: a number below 1, or no such density.
        """
        if n < 1:
            raise ZooError(f"n={n}: must be 1 or more")
        bottleneck = self.module.bottleneck
        if density is None and isinstance(bottleneck, HasPrior):
            with torch.no_grad():
                return self.decode(bottleneck.sample(n, torch.Generator().manual_seed(seed)))
        chosen = build_part("density", {"option": density or "gaussian", **settings})
        if isinstance(chosen, BindsCodebook):
            if not isinstance(bottleneck, Discrete):
                raise ZooError(f"density={density}: for discrete codes, and this model's are real numbers")
            chosen = chosen.bind_codebook(bottleneck)
        with torch.enable_grad():
            fitted = chosen.fit(self.codes)
        with torch.no_grad():
            drawn = fitted.sample(n, seed)
            codebook = bottleneck if isinstance(bottleneck, Discrete) else None
            return self.decode(feasible(drawn, self.codes, codebook, bottleneck.places))

    def score_samples(self, x: ArrayLike | Tensor) -> NDArray[np.float64]:
        """How well the model explains each sample: (N,), in nats of its scaled values; higher is more usual.

        For a model with a posterior, it is a lower bound on log p(x) from 16 samples (Burda et al. 2015); for others,
        log p(x | code) at the deterministic code, which is the reconstruction error in another unit. The two kinds do
        not compare with each other, nor do models with different likelihoods.
        """
        bottleneck, likelihood = self.module.bottleneck, self.module.likelihood
        found = []
        for batch in self._batches(self._whole(x)):
            with torch.no_grad():
                target = likelihood.target(batch)
                if isinstance(bottleneck, DrawsCodes):  # one by one: a score does not depend on other samples
                    bounds = [
                        importance_bounds(self.module, bottleneck, one, SCORING, 0) for one in torch.split(target, 1)
                    ]
                    found += [bound.iwae for bound in bounds]
                else:
                    found.append(-likelihood.nll(self.module.decoder(self.module.encode(batch)), target))
        return np.concatenate([part.double().cpu().numpy() for part in found])

    def to(self, device: str | torch.device) -> Model:
        """The model, computing on `device` from now on."""
        self.module.to(device)
        return self

    def _whole(self, x: ArrayLike | Tensor) -> Tensor:
        """Samples with their columns in the order of the features."""
        whole = as_tensor(in_order(x, self.form.features))
        if not len(whole):
            raise ZooError("no samples: give at least one")
        return whole

    def _batches(self, whole: Tensor) -> Iterator[Tensor]:
        """Samples as the model's input, 512 at a time."""
        for part in torch.split(whole, BATCH):
            yield self.form.inward(part).to(next(self.module.parameters()))


def fit(
    variant: str,
    x: ArrayLike | Tensor,
    *,
    width: int | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    seed: int = 0,
    kind: Kind | None = None,
    validation_fraction: float | None = 0.1,
    standardise: bool = True,
    settings: Mapping[str, Any] | None = None,
    threads: int = 1,
    progress: bool = True,
    trust: Sequence[str] = (),
) -> Model:
    """Fit a method to an array of samples.

    Images are scaled to [0, 1] (bytes by 255, floats in [0, 1] not at all, others by their smallest and largest value);
    vectors are standardised, feature by feature; counts are not scaled. The scaling is saved with the model.

    Args:
        variant: one of `zoo.variants()`: "pca", "deep_ae", "vae", ...
        x: images (N, H, W), (N, C, H, W) or (N, H, W, C), or vectors (N, D). A memory-mapped file is not
            copied. The columns of a pandas table are named features, which the model later finds by name.
        width: units of the code; None for the default: 32 for images, 8 for vectors, and fewer if a sample has fewer
            numbers or there are fewer samples.
        epochs: passes over the samples; None for the default of such data.
        batch_size: samples per step; None for the default of such data.
        seed: determines every random choice.
        kind: "image", "vector" or "counts"; None decides by the number of axes.
        validation_fraction: fraction of the samples that is held out to choose the best epoch, in (0, 1). None for
            0.1, or for no samples if the method is a closed form, which has no epochs.
        standardise: False fits unscaled vectors, which changes the result of PCA. Weights are float32, so features far
            from zero, or on very different scales, then lose digits.
        settings: any other setting of the command `zoo run`: {"network": "conv", "optimizer.lr": 1e-3}.
        threads: number of CPU threads.
        progress: show a progress bar.
        trust: packages from elsewhere whose parts may be used.

    Returns:
        The fitted model.

    Raises:
        ZooError: no such variant or setting, or samples that cannot be used.
    """
    form = form_of(x, kind, feature_names(x))
    images, form, scaling = images_of(x, form)
    if not standardise:
        if form.kind != "vector":
            raise ZooError(f"standardise=False: for vectors, and these samples are of kind {form.kind}; leave it out")
        scaling = "given"
    given: dict[str, Any] = {"width": width, "budget.epochs": epochs, "budget.batch_size": batch_size}
    if width is None:
        most = min(int(np.prod(form.shape)), round(0.9 * len(images))) - 1
        given["width"] = min(32 if form.kind == "image" else 8, max(1, most))
    given |= {"seed": seed, "trainer.threads": threads, "trainer.progress": progress, "trust": list(trust)}
    chosen = [f"{key}={written(value)}" for key, value in (given | dict(settings or {})).items() if value is not None]
    overrides = (f"data={OWN[form.kind]}", f"variant={variant}", *chosen)
    job = _job.__wrapped__(overrides) if trusted_in(overrides) else _job(overrides)
    if validation_fraction is None and "epochs" in job.axes["fit"]:
        validation_fraction = 0.1
    empty = images.subset(torch.arange(0))
    data = Splits(Source("array", images, empty, (), False, form, scaling), validation_fraction)
    before = torch.get_num_threads()
    torch.set_num_threads(job.threads)
    try:
        model = build_model(job.config, data.shape, job.seed, job.trust, form.kind)
        report = job.make("fit")(model, data, job.make("objective"), job.seed)
    finally:
        torch.set_num_threads(before)
    return Model(model.eval(), data.form, deepcopy(job.config), job.seed, kept_codes(model, data.train), report, data)


def save(model: Model, path: str | Path) -> Path:
    """Write a model to one safetensors file, whole or not at all, and return its path.

    Raises:
        ZooError: not a model of `fit` or `load`.
    """
    if not isinstance(model, Model):
        raise ZooError(f"save({type(model).__name__}, ...): give a model of zoo.fit or zoo.load, then a path")
    save_model(Path(path), model.module, model.config, model.form, model.seed, model.codes)
    return Path(path)


def load(path: str | Path, trust: Sequence[str] = ()) -> Model:
    """A model from a file, of `save` or of the command `zoo run`; from a model folder, or from the Hugging Face hub.

    Nothing in the file is executed: it names options and plain values, and the option files of the zoo (and of
    packages in `trust`) say which code these stand for.

    Args:
        path: the file; a folder of `zoo.card`, which holds a model.safetensors; or hf://user/name, which needs the
            extra `hub`.
        trust: packages from elsewhere whose parts may be built.

    Raises:
        ZooError: no such file, not a model of the zoo, or one with parts from elsewhere.
    """
    place = download(str(path)) if str(path).startswith(ADDRESS) else Path(path)
    found = read_model(place / "model.safetensors" if place.is_dir() else place, tuple(trust))
    return Model(found.model, found.form, found.config, found.seed, found.codes)


def evaluate(
    model: Model,
    x: ArrayLike | Tensor,
    labels: ArrayLike | None = None,
    *,
    train: tuple[ArrayLike | Tensor, ArrayLike | None] | None = None,
    groups: Sequence[str] = ("reconstruction", "probing", "code", "cost"),
    densities: Mapping[str, Mapping[str, Any]] | None = None,
    trust: Sequence[str] = (),
) -> dict[str, dict[str, Any]]:
    """Measure a model on samples that it has not been fitted on.

    Args:
        model: the model.
        x: samples in the form that the model was fitted on.
        labels: (N,) class of each sample, numbers or texts; None for none.
        train: samples and labels for what is learned from codes (probes, densities): those that the model was fitted
            on. Without it, `x` is divided in two halves by chance: probes learn from one, and all is measured on the
            other.
        groups: of metrics; see docs/extending.md.
        densities: see `zoo.evaluation.evaluator.evaluate`.
        trust: packages from elsewhere.

    Returns:
        {metric: {"value", "unit", "direction", "definition", "interval"?, "reason"?, ...}}.

    Raises:
        ZooError: no such group, or samples that cannot be used.
    """
    from zoo.evaluation.evaluator import evaluate as measure
    from zoo.evaluation.evaluator import in_groups

    arranged = model.form.arranged(x)
    if labels is not None and np.shape(labels) != (len(arranged),):
        raise ZooError(f"labels of shape {np.shape(labels)} for {len(arranged)} samples: give one per sample")
    if train is None and len(arranged) < LEAST:
        raise ZooError(
            f"{len(arranged)} samples to measure on: give at least {LEAST}, or the training samples, train=(x, labels)"
        )
    if train is None:
        middle = len(arranged) // 2
        order = torch.randperm(len(arranged), generator=torch.Generator().manual_seed(0))
        first, second = order[:middle].sort().values, order[middle:].sort().values
        y = None if labels is None else np.asarray(labels)
        sides = [(arranged[part], None if y is None else y[part.numpy()]) for part in (first, second)]
    else:
        sides = [(model.form.arranged(train[0]), train[1]), (arranged, labels)]
    labelled = {
        name: ("labels", np.asarray(y), len(part))
        for name, (part, y) in zip(SIDES, sides, strict=True)
        if y is not None
    }
    numbers, classes = numbered("evaluate", labelled)
    learnt, measured = (
        Images(part, numbers.get(name, torch.zeros(len(part), dtype=torch.int64))).scaled(model.form)
        for name, (part, _) in zip(SIDES, sides, strict=True)
    )
    source = Source("array", learnt, measured, classes, False, model.form)
    fit_report = {"seconds": float("nan"), "epochs": 0} if model.report is None else asdict(model.report)
    data = Splits(source, 0.1)
    return measure(model.module, data, in_groups(groups), fit_report, densities=densities, trust=tuple(trust))


def written(value: Any) -> str:
    """A plain value in the grammar of the command line."""
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{key}:{written(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(written, value)) + "]"
    return json.dumps(value.item() if isinstance(value, np.generic) else value)


@lru_cache(maxsize=256)
def _job(overrides: tuple[str, ...]) -> Job:
    """The run that overrides of the command line describe. Composing it can take longer than a fit."""
    with composing(overrides) as given:
        return Job.of(composed("config", given))
