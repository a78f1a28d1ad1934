"""Scikit-learn estimators based on `zoo.api.fit`, for pipelines, searches and pandas."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, OutlierMixin, TransformerMixin
from sklearn.metrics import r2_score
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

from zoo.api import Model, fit, load, save
from zoo.errors import ZooError
from zoo.samples import Kind

if TYPE_CHECKING:
    from typing_extensions import Self

SEEDS = 2**31 - 1
FENCE = 1.5  # interquartile ranges below the first quartile: J. Tukey, "Exploratory data analysis", 1977
# what `zoo.api.fit` calls the parameters of the estimators
NAMES = {"width": "n_components", "seed": "random_state", "data.validation_fraction": "validation_fraction"}


class ScikitModel(BaseEstimator):  # type: ignore[misc]
    """Parameters, fit and scores that both estimators share; see `Bottleneck`."""

    model_: Model

    def __init__(
        self,
        variant: str = "deep_ae",
        n_components: int | None = 8,
        *,
        epochs: int | None = None,
        batch_size: int | None = None,
        random_state: int | np.random.RandomState | None = 0,
        kind: Kind | None = None,
        image_shape: Sequence[int] | None = None,
        validation_fraction: float | None = None,
        standardise: bool = True,
        settings: Mapping[str, Any] | None = None,
        threads: int = 1,
    ) -> None:
        self.variant = variant
        self.n_components = n_components
        self.epochs = epochs
        self.batch_size = batch_size
        self.random_state = random_state
        self.kind = kind
        self.image_shape = image_shape
        self.validation_fraction = validation_fraction
        self.standardise = standardise
        self.settings = settings
        self.threads = threads

    def fit(self, X: ArrayLike, y: object = None) -> Self:
        """Fit the method to samples X: (n_samples, n_features); y is not used.

        Raises:
            ValueError: no such variant or setting, or samples that cannot be used.
        """
        found: NDArray[Any] = validate_data(self, X, ensure_min_samples=2)
        shape = found.shape[1:] if self.image_shape is None else tuple(self.image_shape)
        if math.prod(shape) != found.shape[1]:
            raise ValueError(f"image_shape={shape}: {math.prod(shape)} values per image, and X has {found.shape[1]}")
        with _as_value_error():
            model = fit(
                self.variant,
                found.reshape(-1, *shape),
                width=self.n_components,
                epochs=self.epochs,
                batch_size=self.batch_size,
                seed=_seed(self.random_state),
                kind=self.kind,
                validation_fraction=self.validation_fraction,
                standardise=self.standardise,
                settings=self.settings,
                threads=self.threads,
                progress=False,
            )
        self.model_ = replace(model, data=None)
        return self

    def score_samples(self, X: ArrayLike) -> NDArray[np.float64]:
        """How well the model explains each sample: (n_samples,), in nats of its scaled values; higher is more usual.

        For a model with a posterior, it is a lower bound on log p(x); for others, log p(x | code). The two do not
        compare; see `zoo.api.Model.score_samples`.
        """
        found = self._checked(X)
        with _as_value_error():
            return self._exact().score_samples(found)

    def __getstate__(self) -> dict[str, Any]:
        """The state, with the model as the bytes of its file: some modules of torch cannot be pickled."""
        state: dict[str, Any] = dict(super().__getstate__())
        if "model_" in state:
            with TemporaryDirectory() as folder:
                path = save(self.model_, Path(folder) / "model.safetensors")
                state["model_"] = path.read_bytes(), self.model_.report
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore the state."""
        if "model_" in state:
            content, report = state["model_"]
            with TemporaryDirectory() as folder:
                path = Path(folder) / "model.safetensors"
                path.write_bytes(content)
                state = state | {"model_": replace(load(path), report=report)}
        super().__setstate__(state)

    def __sklearn_tags__(self) -> Any:
        """Counts are never negative."""
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = self.kind == "counts"
        return tags

    def _checked(self, X: ArrayLike) -> NDArray[Any]:
        """Samples with the features that the model was fitted to."""
        check_is_fitted(self)
        found: NDArray[Any] = validate_data(self, X, reset=False)
        return found

    def _exact(self) -> Model:
        """A copy whose networks compute in float64, so that results do not depend on the other samples of a batch.

        In float32, rounding depends on the number of samples in a batch. Bottlenecks and likelihoods stay in float32,
        because some are written for it.
        """
        module = deepcopy(self.model_.module)
        for network in (module.encoder, module.decoder):
            network.double().register_forward_pre_hook(lambda _, given: (given[0].double(), *given[1:]))
        module.encoder.register_forward_hook(lambda _, given, h: h.float())
        return replace(self.model_, module=module)


class Bottleneck(ClassNamePrefixFeaturesOutMixin, TransformerMixin, ScikitModel):  # type: ignore[misc]
    """Any method of the zoo as a scikit-learn transformer from samples to codes.

    Features are standardised within the model, as by `StandardScaler`. `Bottleneck("pca", d)` equals
    `make_pipeline(StandardScaler(), PCA(d))`, and with `standardise=False` `PCA(d)`, up to the signs of the components.

    Limitations: not for sparse matrices or missing values. Images with values outside [0, 1] are scaled by the
    smallest and largest value of the training samples, bytes by 255. `transform` and scores compute in float64 on a
    copy of the module; `model_.encode` is faster, in float32. A pickled estimator does not hold its training samples,
    and other versions of the zoo may not read it. Parts from other packages are not supported.

    Args:
        variant: one of `zoo.variants()`: "pca", "deep_ae", "vae", ...
        n_components: units of the code; None for 8, or 32 for images, but fewer than there are features. Sparse
            variants use it as the number of active units of a wider code.
        epochs: passes over the samples; None for 100, or 50 for images. Closed forms do not use it.
        batch_size: samples per step; None for 64, or 128 for images. Closed forms do not use it.
        random_state: seed of every random choice; None for a different seed in each fit.
        kind: "image", "vector" or "counts"; None for images where `image_shape` is set, else vectors.
        image_shape: (H, W), (C, H, W) or (H, W, C) of samples that are flattened images.
        validation_fraction: fraction of the samples, in (0, 1), held out to choose the best epoch. None for 0.1, or for
            no samples if the variant is a closed form, which is then fitted to all.
        standardise: False fits vectors as they are.
        settings: any other setting of the command `zoo run`: {"hidden": [64, 32], "optimizer.lr": 1e-3}.
        threads: number of CPU threads.

    Attributes:
        model_: the fitted `zoo.api.Model`, for `zoo.save`, `zoo.evaluate` and other uses.
        n_features_in_: number of features.
        feature_names_in_: names of the features, if X has names that are strings.

    Example:
        >>> from sklearn.datasets import load_wine
        >>> from sklearn.linear_model import LogisticRegression
        >>> from sklearn.pipeline import make_pipeline
        >>> from zoo.estimators import Bottleneck
        >>> X, y = load_wine(return_X_y=True)
        >>> Bottleneck("pca", 2).fit_transform(X).shape
        (178, 2)
        >>> bool(make_pipeline(Bottleneck("vae", 3, epochs=20), LogisticRegression()).fit(X, y).score(X, y) > 0.8)
        True
    """

    def transform(self, X: ArrayLike) -> NDArray[Any]:
        """Deterministic codes of samples: (n_samples, n_features) -> (n_samples, n_features_out).

        They have seven digits, and are float32 if X is.
        """
        found = self._checked(X)
        with _as_value_error():
            codes = self._exact().encode(found)
        return codes.astype(np.float32 if found.dtype == np.float32 else np.float64, copy=False)

    def inverse_transform(self, X: ArrayLike) -> NDArray[Any]:
        """Expected samples of codes: (n_samples, n_features_out) -> (n_samples, n_features), to seven digits.

        Raises:
            ValueError: codes of another shape.
        """
        check_is_fitted(self)
        codes = check_array(X, dtype=[np.float64, np.float32])
        with _as_value_error():
            return self.model_.decode(codes).reshape(len(codes), -1).astype(codes.dtype, copy=False)

    def score(self, X: ArrayLike, y: object = None) -> float:
        """The fraction of the variance of X: (n_samples, n_features) that reconstructions explain; y is not used.

            1 - sum (x - x_hat)^2 / sum (x - mean)^2,  both over all samples and features, in the model's scaling

        It compares variants with the same number of units; more units mostly raise it. Undefined (nan) for a single
        sample.
        """
        found = self._checked(X)
        rebuilt = self.inverse_transform(self.transform(X))
        scale = np.asarray(self.model_.form.scale)
        return float(r2_score(found / scale, rebuilt / scale, multioutput="variance_weighted"))

    def sample(
        self, n_samples: int = 1, random_state: int | np.random.RandomState | None = None
    ) -> NDArray[np.float32]:
        """New samples: (n_samples, n_features), decoded from the prior, or from a Gaussian of the training codes.

        Args:
            n_samples: number of samples.
            random_state: determines the samples; None draws different ones in each call.
        """
        check_is_fitted(self)
        with _as_value_error():
            return self.model_.sample(n_samples, _seed(random_state)).reshape(n_samples, -1)

    @property
    def _n_features_out(self) -> int:
        """Number of outputs, for `get_feature_names_out`."""
        return self.model_.width

    def __sklearn_tags__(self) -> Any:
        """Codes have the precision of the samples."""
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


class OutlierDetector(OutlierMixin, ScikitModel):  # type: ignore[misc]
    """Outlier detection: outliers are samples that a bottleneck explains badly. Works with any method of the zoo.

    The score of a sample is `score_samples` of the model: a bound on log p(x) if there is a posterior, else
    log p(x | code), which decreases with the reconstruction error.

    Limitations: a code as wide as the data reconstructs every sample, and a long fit can reconstruct the outliers that
    it was fitted to. The threshold follows from scores of training samples, which are higher than those of new samples.

    Args:
        variant: see `Bottleneck`, also for the other parameters.
        n_components: units of the code, fewer than there are features; None for 8, or 32 for images, or less.
        contamination: fraction of outliers among the training samples, in (0, 0.5]; "auto" for a threshold 1.5
            interquartile ranges below the first quartile of their scores (Tukey 1977).
        epochs: passes over the samples.
        batch_size: samples per step.
        random_state: seed of every random choice.
        kind: kind of the samples.
        image_shape: shape of samples that are flattened images.
        validation_fraction: fraction of the samples that is held out to choose the best epoch.
        standardise: False fits vectors as they are.
        settings: any other setting.
        threads: number of CPU threads.

    Attributes:
        model_: the fitted `zoo.api.Model`.
        offset_: the threshold, in nats: samples with a lower score are outliers.
        n_features_in_: number of features.
        feature_names_in_: names of the features, if X has names that are strings.

    Example:
        >>> import numpy as np
        >>> from zoo.estimators import OutlierDetector
        >>> x = np.random.default_rng(0).normal(size=(200, 1)) @ [[1, 2, 3, 4]]
        >>> detector = OutlierDetector("pca", 1, contamination=0.05).fit(x + 0.1 * np.cos(x**2))
        >>> detector.predict([[1, 2, 3, 4], [1, 2, 3, -4]])
        array([ 1, -1])
    """

    offset_: float

    def __init__(
        self,
        variant: str = "pca",
        n_components: int | None = None,
        *,
        contamination: float | str = "auto",
        epochs: int | None = None,
        batch_size: int | None = None,
        random_state: int | np.random.RandomState | None = 0,
        kind: Kind | None = None,
        image_shape: Sequence[int] | None = None,
        validation_fraction: float | None = None,
        standardise: bool = True,
        settings: Mapping[str, Any] | None = None,
        threads: int = 1,
    ) -> None:
        super().__init__(
            variant,
            n_components,
            epochs=epochs,
            batch_size=batch_size,
            random_state=random_state,
            kind=kind,
            image_shape=image_shape,
            validation_fraction=validation_fraction,
            standardise=standardise,
            settings=settings,
            threads=threads,
        )
        self.contamination = contamination

    def fit(self, X: ArrayLike, y: object = None) -> Self:
        """Fit the method to samples X: (n_samples, n_features), and choose the threshold; y is not used.

        Raises:
            ValueError: no such variant or setting, samples that cannot be used, or a contamination out of range.
        """
        share = self.contamination
        if share != "auto" and (isinstance(share, str) or not 0 < share <= 0.5):
            raise ValueError(f'contamination={share}: must be "auto" or in (0, 0.5]')
        super().fit(X)
        scores = self.score_samples(X)
        if isinstance(share, str):
            low, high = np.percentile(scores, [25, 75])
            self.offset_ = float(low - FENCE * (high - low))
        else:
            self.offset_ = float(np.percentile(scores, 100 * share))
        return self

    def decision_function(self, X: ArrayLike) -> NDArray[np.float64]:
        """`score_samples(X) - offset_`: (n_samples,), in nats; negative for outliers."""
        return self.score_samples(X) - self.offset_

    def predict(self, X: ArrayLike) -> NDArray[np.int64]:
        """-1 for outliers, else 1: (n_samples,)."""
        return np.where(self.decision_function(X) >= 0, 1, -1)


@contextmanager
def _as_value_error() -> Iterator[None]:
    """Turn a ZooError into the ValueError that scikit-learn expects, with the names of the estimators' parameters."""
    try:
        yield
    except ZooError as error:
        text = re.sub("|".join(rf"\b{re.escape(name)}\b" for name in NAMES), lambda m: NAMES[m[0]], str(error))
        raise ValueError(text) from error


def _seed(random_state: int | np.random.RandomState | None) -> int:
    if isinstance(random_state, int | np.integer):
        return int(random_state)
    return int(check_random_state(random_state).randint(SEEDS))
