"""Models to a file and back: a file holds the weights, and the options that rebuild the model as plain data."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors import SafetensorError, safe_open
from safetensors import torch as safetensors
from torch import Tensor, nn

from zoo.errors import ZooError
from zoo.files import writing
from zoo.model.autoencoder import Autoencoder, build
from zoo.options import Node
from zoo.options import build as build_part
from zoo.samples import Form, Kind
from zoo.types import Network, Serves, Shape

PARTS = ("network", "bottleneck", "likelihood", "corruption")
KEPT_CODES, KEPT_NUMBERS, BATCH = 2_000, 500_000, 512
ABOUT = "zoo"  # one key, as safetensors writes several in random order


def build_model(
    config: Mapping[str, Node], shape: Shape, seed: int, trust: tuple[str, ...] = (), kind: Kind = "image"
) -> Autoencoder:
    """A fresh model for samples of `shape`.

    Args:
        config: the options of the axes by name and value; those of `PARTS` are read.
        shape: (C, H, W).
        seed: determines every initial weight.
        trust: packages from elsewhere whose parts may be built.
        kind: of the samples.

    Raises:
        ZooError: a part is missing, or does not serve samples of this kind.
    """
    if missing := [axis for axis in PARTS if axis not in config]:
        raise ZooError(f"its configuration has no {missing[0]}")
    parts = {axis: build_part(axis, config[axis], trust) for axis in PARTS}
    for axis in ("likelihood", "corruption"):
        check_kind(f"{axis}={config[axis]['option']}", parts[axis], kind)
    if kind == "counts":
        parts["network"] = partial(of_log_counts, parts["network"])
    return build(shape, **parts, seed=seed)


def of_log_counts(network: Network, *sizes: Any) -> tuple[nn.Module, nn.Module]:
    """A network whose encoder receives log(1 + x), also where a prior uses it."""
    encoder, decoder = network(*sizes)
    return nn.Sequential(LogCounts(), encoder), decoder


LIKELIHOODS = {"image": "gaussian", "vector": "gaussian", "counts": "multinomial"}


def check_kind(name: str, part: object, kind: Kind) -> None:
    """ZooError if a part does not serve samples of `kind`."""
    kinds: tuple[str, ...] = part.kinds if isinstance(part, Serves) else ("image", "vector")
    if kind not in kinds:
        what = {"image": "images", "vector": "vectors", "counts": "counts"}
        other = "corruption=clean" if name.startswith("corruption") else f"likelihood={LIKELIHOODS[kind]}"
        raise ZooError(
            f"{name} is for {' and '.join(what[k] for k in kinds)}, and these samples are {what[kind]}; choose {other}"
        )


class LogCounts(nn.Module):
    """x -> log(1 + x): the encoder's input for counts, so that frequent features do not dominate the others."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, 1, 1, D) -> (B, 1, 1, D)."""
        return x.log1p()


class Samples(Protocol):
    """A set of samples in the form that a model receives: `zoo.data.images.Images` is one."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: Tensor, /) -> Tensor: ...


class _Kept(nn.Module):
    """The tensors of a model file: the model's, and codes of training samples."""

    codes: Tensor

    def __init__(self, model: Autoencoder, codes: Tensor) -> None:
        super().__init__()
        self.model = model
        self.register_buffer("codes", codes)


@torch.no_grad()
def kept_codes(model: Autoencoder, train: Samples) -> Tensor:
    """Codes of training samples, to which densities are fitted later: (M, D), at most 2,000 and 500,000 numbers.

    Args:
        model: fitted, in evaluation mode.
        train: the training samples; a fixed choice of them is encoded.
    """
    count = max(1, min(KEPT_CODES, len(train), KEPT_NUMBERS // model.bottleneck.out_features))
    index = torch.randperm(len(train), generator=torch.Generator().manual_seed(0))[:count].sort().values
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    return torch.cat([model.encode(train[part].to(device)).float().cpu() for part in torch.split(index, BATCH)])


def save_model(
    path: Path, model: Autoencoder, config: Mapping[str, Node], form: Form, seed: int, codes: Tensor | None = None
) -> None:
    """Write the weights, and the options that rebuild the model, to one safetensors file, whole or not at all.

    Equal models give equal files, byte for byte.

    Args:
        path: of the file; its folder is made.
        model: the model.
        config: the options of the axes by name and value.
        form: of the samples that it was fitted on.
        seed: that it was fitted with.
        codes: of training samples, see `kept_codes`; None for none.
    """
    kept = _Kept(model, torch.zeros(0, model.bottleneck.out_features) if codes is None else codes)
    about = {"config": dict(config), "form": form.as_json(), "seed": seed}
    with writing(path) as partial:
        safetensors.save_file(stored(kept), str(partial), {ABOUT: json.dumps(about, sort_keys=True)})


def stored(module: nn.Module) -> dict[str, Tensor]:
    """The tensors of a module's state by name; those that modules share, once."""
    once = {name for name, _ in (*module.named_parameters(), *module.named_buffers())}
    return {name: tensor.contiguous() for name, tensor in module.state_dict().items() if name in once}


def weights_digest(path: Path) -> str:
    """SHA-256 of a model file, in hex digits."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


@dataclass(frozen=True)
class Saved:
    """What a model file holds.

    Attributes:
        model: in evaluation mode.
        config: the options of the axes by name and value.
        form: of the samples that it was fitted on.
        seed: that it was fitted with.
        codes: of training samples: (M, D), M may be 0.
    """

    model: Autoencoder
    config: dict[str, Node]
    form: Form
    seed: int
    codes: Tensor


def load_model(path: str | Path, trust: tuple[str, ...] = ()) -> Autoencoder:
    """`read_model`, the model alone."""
    return read_model(path, trust).model


def read_model(path: str | Path, trust: tuple[str, ...] = ()) -> Saved:
    """Rebuild a saved model.

    Nothing in the file is executed or interpolated: it names options and plain values, and the option files of the zoo
    (and of packages in `trust`) say which code these stand for.

    Args:
        path: the file.
        trust: packages from elsewhere whose parts may be built.

    Raises:
        ZooError: no such file, not a model of the zoo, one with parts from elsewhere, or weights that are not finite.
    """
    path = Path(path)
    if not path.is_file():
        raise ZooError(f"{path}: no such model; fit it by `zoo run`")
    try:
        with safe_open(str(path), framework="pt") as file:
            about = described(file.metadata())
            codes_shape = file.get_slice("codes").get_shape()
        form: Form = about["form"]
        model = build_model(about["config"], form.inner_shape, about["seed"], trust, form.kind)
        kept = _Kept(model, torch.zeros(codes_shape))
        safetensors.load_model(kept, str(path))
        weights = [*kept.named_parameters(), ("codes", kept.codes)]
        if broken := [name for name, tensor in weights if not tensor.isfinite().all()]:
            raise ZooError(f"its {broken[0]} holds numbers that are not finite (nan or inf); fit it again")
    except ZooError as error:
        raise ZooError(f"{path}: {error}") from error
    except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ZooError(f"{path}: not a model that this version of the zoo saved ({error}); fit it again") from error
    return Saved(model.eval(), about["config"], form, about["seed"], kept.codes)


def described(metadata: Mapping[str, str] | None) -> dict[str, Any]:
    """What a file's metadata describes: "config", "form" and "seed", checked to be of these kinds."""
    about = json.loads((metadata or {})[ABOUT])
    if type(about["seed"]) is not int:
        raise ValueError(f"seed {about['seed']}")
    if not isinstance(about["config"], dict):
        raise ValueError("its configuration is no mapping")
    return {"config": about["config"], "form": Form.of_json(about["form"]), "seed": about["seed"]}
