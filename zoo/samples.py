"""Samples: their kind, their original shape, and how their values become the input of a model.

The input of a model are float tensors (N, C, H, W). For images, values lie in [0, 1]; a vector of D real numbers is 1 x
1 x D and standardised, feature by feature; a vector of D counts is 1 x 1 x D and stays as it is.
"""

from __future__ import annotations

import math
import sys
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from zoo.errors import ZooError

Kind = Literal["image", "vector", "counts"]
Channels = Literal["none", "first", "last"]
KINDS: tuple[Kind, ...] = get_args(Kind)
COLOURS = (1, 3, 4)  # numbers of channels, by which their axis is recognised
WIDER = {np.dtype(f"uint{bits}"): np.dtype(f"int{2 * bits}" if bits < 64 else "int64") for bits in (16, 32, 64)}
LARGE = 1 << 28  # bytes from which on an array is not copied if that can be avoided


@dataclass(frozen=True)
class Form:
    """The form of samples, and the scaling learned from training samples: the model's input is (x - shift) / scale.

    Attributes:
        kind: "image", "vector" or "counts".
        shape: original shape of one sample: (28, 28), (32, 32, 3), (3, 32, 32), (13,).
        channels: the axis of `shape` that holds the channels.
        shift: one number, or one per feature of a vector.
        scale: one number, or one per feature; greater than 0.
        features: names of a vector's features; empty where there are none.
    """

    kind: Kind
    shape: tuple[int, ...]
    channels: Channels = "none"
    shift: tuple[float, ...] = (0.0,)
    scale: tuple[float, ...] = (1.0,)
    features: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        sides = 1 if self.kind != "image" else 2 + (self.channels != "none")
        known = self.kind in KINDS and self.channels in get_args(Channels)
        if not known or len(self.shape) != sides or not all(_is_count(side) for side in self.shape):
            raise ZooError(f"samples of kind {self.kind} and shape {self.shape}: not a form of the zoo")
        size = math.prod(self.shape)
        for values in (self.shift, self.scale):
            if len(values) not in (1, size) or not all(map(math.isfinite, values)):
                raise ZooError(f"a scaling of {len(values)} numbers for samples of {size}: not a form of the zoo")
        if min(self.scale) <= 0 or (self.features and len(self.features) != size):
            raise ZooError("a scale of 0, or names for some features only: not a form of the zoo")

    @property
    def inner_shape(self) -> tuple[int, int, int]:
        """(C, H, W) of the model's input."""
        if self.kind != "image":
            return 1, 1, self.shape[0]
        match self.channels:
            case "none":
                return 1, self.shape[0], self.shape[1]
            case "first":
                return self.shape[0], self.shape[1], self.shape[2]
        return self.shape[2], self.shape[0], self.shape[1]

    @property
    def inner_scaling(self) -> tuple[Tensor, Tensor]:
        """Shift and scale as float64: one number each, or (C, H, W)."""
        values = (torch.tensor(part, dtype=torch.float64) for part in (self.shift, self.scale))
        shift, scale = (part[0] if len(part) == 1 else part.view(self.inner_shape) for part in values)
        return shift, scale

    def arranged(self, x: ArrayLike | Tensor) -> Tensor:
        """Samples in their original shape, or flattened, as (N, C, H, W); values are unchanged.

        Raises:
            ZooError: another shape, or values that are no numbers or not finite.
        """
        found = as_tensor(in_order(x, self.features))
        if found.ndim >= 2 and math.prod(found.shape[1:]) == math.prod(self.shape):
            c, h, w = self.inner_shape
            if found.shape[1:] in ((c, h, w), *([(h, w)] if c == 1 else [])) and self.channels != "last":
                return found.reshape(-1, c, h, w)
            if found.ndim == 2 or found.shape[1:] == self.shape:
                own = found.reshape(-1, *self.shape)
                return own.permute(0, 3, 1, 2) if self.channels == "last" else own.reshape(-1, c, h, w)
        raise ZooError(
            f"samples of shape {tuple(found.shape)}: this model takes (N, {', '.join(map(str, self.shape))})"
        )

    def inward(self, x: ArrayLike | Tensor) -> Tensor:
        """Samples in their original form as input of a model: float32 (N, C, H, W).

        Raises:
            ZooError: another shape, or values that are no numbers or not finite.
        """
        arranged = self.arranged(x).double()
        shift, scale = self.inner_scaling
        found = ((arranged - shift) / scale).float()
        if not found.isfinite().all():
            raise ZooError("the samples hold values that are not finite (nan or inf): drop or fill them first")
        if self.kind == "counts" and (arranged < 0).any():
            raise ZooError("the samples hold negative values, and counts are 0 or more")
        white = self.scale[0] + self.shift[0]
        # images scaled to [0, 1] would be black to a model of bytes, or of scikit-learn's digits, whose white is 16
        if self.kind == "image" and white >= 16 and len(found) and 0 < float(arranged.max()) <= 1:
            warnings.warn(f"no value is above 1, and this model's white is {white:g}", stacklevel=3)
        return found

    def outward(self, x: Tensor) -> NDArray[np.float32]:
        """The output of a model, float (N, C, H, W), in the original units and shape: (N, *shape)."""
        shift, scale = self.inner_scaling
        found = (x.detach().cpu().double() * scale + shift).float()
        found = found.permute(0, 2, 3, 1) if self.channels == "last" else found
        return found.reshape(-1, *self.shape).numpy()

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}

    @classmethod
    def of_json(cls, found: Mapping[str, Any]) -> Form:
        """The form that `as_json` described.

        Raises:
            ZooError: the values describe no form.
        """
        try:
            values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in found.items()}
            form = cls(**values)
        except (TypeError, ValueError, AttributeError) as error:
            raise ZooError(f"no form of samples ({error})") from error
        return form


def form_of(
    x: ArrayLike | Tensor, kind: Kind | None = None, features: Sequence[str] = (), channels: Channels | None = None
) -> Form:
    """The form of an array of samples, without a scaling.

    Args:
        x: (N, D) vectors; (N, H, W), (N, C, H, W) or (N, H, W, C) images, where the axis of channels is the one that is
            1, 3 or 4 long, else the first.
        kind: "image", "vector" or "counts"; None for vectors where `x` has two axes, else images.
        features: names of a vector's features.
        channels: of images with four axes, "first" or "last"; None to guess.

    Raises:
        ZooError: an array of another shape, or of a shape that the kind does not have.

    Warns:
        UserWarning: the first and the last axis may be that of channels.
    """
    shape = tuple(np.shape(x) if not isinstance(x, Tensor) else x.shape)
    if kind is not None and kind not in KINDS:
        raise ZooError(f"kind={kind}: choose one of {', '.join(KINDS)}")
    kind = kind or ("vector" if len(shape) == 2 else "image")
    if len(shape) not in ((2,) if kind != "image" else (3, 4)):
        asked = "(N, H, W), (N, C, H, W) or (N, H, W, C)" if kind == "image" else "(N, D)"
        raise ZooError(f"an array of shape {shape}: samples of kind {kind} are {asked}")
    if 0 in shape:
        raise ZooError(f"an array of shape {shape} holds no values")
    if len(shape) < 4:
        channels = "none"
    elif channels is None:
        channels = "last" if shape[3] in COLOURS and shape[1] not in COLOURS else "first"
        if shape[3] in COLOURS and shape[1] in COLOURS and shape[3] > 1:
            warnings.warn(
                f"an array of shape {shape} is read as (N, C, H, W); if the last axis holds the channels, move it, "
                "X.transpose(0, 3, 1, 2), or say data.source.channels=last",
                stacklevel=2,
            )
    return Form(kind, shape[1:], channels, features=tuple(features))


def feature_names(x: object) -> tuple[str, ...]:
    """The names of the columns of a pandas table; none of anything else."""
    pandas = sys.modules.get("pandas")  # imported by anyone who has a table
    return tuple(map(str, x.columns)) if pandas is not None and isinstance(x, pandas.DataFrame) else ()


def in_order(x: Any, features: Sequence[str]) -> Any:
    """The columns of a pandas table named after the features, in their order; anything else is returned unchanged.

    Raises:
        ZooError: a feature is missing.
    """
    if not features or not (names := feature_names(x)):
        return x
    if missing := [name for name in features if name not in names]:
        raise ZooError(f"no column {missing[0]}, which is a feature of this model")
    return x.iloc[:, [names.index(name) for name in features]]


def as_tensor(x: ArrayLike | Tensor) -> Tensor:
    """Numbers as a tensor that shares the memory of an array.

    Raises:
        ZooError: no array of numbers.
    """
    if isinstance(x, Tensor):
        return x
    from scipy.sparse import issparse  # takes a third of a second to import

    if issparse(x):
        raise ZooError("a sparse matrix: give a dense array, x.toarray()")
    if isinstance(x, np.ma.MaskedArray) and np.ma.is_masked(x):
        raise ZooError("a masked array with missing values: drop these samples, or fill them, X.filled(0)")
    try:
        found = np.asarray(x)
        if found.dtype.kind == "O" or found.dtype == np.longdouble:  # which torch does not know
            found = found.astype(np.float64)
        if found.dtype.kind not in "buif":
            raise ZooError(f"values of type {found.dtype}: samples are numbers")
        found = found.astype(found.dtype.newbyteorder("="), copy=False)
        if found.dtype in WIDER and (
            found.dtype != np.uint16 or found.nbytes <= LARGE
        ):  # torch computes little on these
            found = found.astype(WIDER[found.dtype])
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "The given NumPy array is not writable")  # nothing here writes to it
            return torch.from_numpy(found if min(found.strides, default=0) >= 0 else found.copy())
    except (TypeError, ValueError) as error:
        raise ZooError(f"no array of numbers ({error})") from error


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0
