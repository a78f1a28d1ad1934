"""Encoder and decoder as files for other programs: ONNX, and PyTorch's own exported programs."""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils import parametrize

from zoo.api import Model
from zoo.errors import ZooError, nearest
from zoo.model.autoencoder import Autoencoder
from zoo.samples import Form
from zoo.use.show import writable

TOLERANCE = 1e-4  # of the largest value
CHECKED = 5  # samples whose codes and reconstructions are compared


class Exported(nn.Module):
    """A half of a model, with the scaling of its samples.

    Args:
        module: the model.
        form: of its samples.
    """

    shift: Tensor
    scale: Tensor

    def __init__(self, module: Autoencoder, form: Form) -> None:
        super().__init__()
        self.module, self.form = module, form
        for name, values in zip(("shift", "scale"), form.inner_scaling, strict=True):
            self.register_buffer(name, values)


class ExportedEncoder(Exported):
    """Samples in their original units and shape, float32 (N, *shape) -> codes (N, D)."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, *shape) -> (N, D)."""
        x = x.permute(0, 3, 1, 2) if self.form.channels == "last" else x.reshape(-1, *self.form.inner_shape)
        return self.module.encode(((x.double() - self.shift) / self.scale).float()).float()


class ExportedDecoder(Exported):
    """Codes, float32 (N, D) -> samples in their original units and shape (N, *shape)."""

    def forward(self, z: Tensor) -> Tensor:
        """(N, D) -> (N, *shape)."""
        x = (self.module.decode(z).double() * self.scale + self.shift).float()
        return x.permute(0, 2, 3, 1) if self.form.channels == "last" else x.reshape(-1, *self.form.shape)


def export(model: Model, folder: str | Path, format: str = "onnx") -> list[Path]:
    """Write encoder and decoder as two files that run without the zoo, for any number of samples; scaling is included.

    Both files are run once, and compared with the model.

    Limitations: only the deterministic code; no densities, sampling, scores or masks.

    Args:
        model: the model.
        folder: created if it does not exist.
        format: "onnx" (encoder.onnx, decoder.onnx; needs the extra `onnx`) or "torch" (encoder.pt2, decoder.pt2).

    Returns:
        The two paths.

    Raises:
        ZooError: another format, a missing extra, a folder that cannot be written, a model with an operation that the
            format lacks, or files that compute something else than the model.
    """
    if format not in FORMATS:
        raise ZooError(f"--format={format}: no such format{nearest(format, FORMATS)}")
    if format == "onnx":
        for package in ("onnx", "onnxscript", "onnxruntime"):
            _imported(package)
    ending, write, read = FORMATS[format]
    module = plain(model.module)
    z = model.codes[:CHECKED] if len(model.codes) else torch.randn(CHECKED, model.width)
    z = torch.cat([z.float()] * CHECKED)[:CHECKED]
    x = torch.from_numpy(model.decode(z))
    parts: dict[str, tuple[nn.Module, Tensor, NDArray[np.float32]]] = {
        "encoder": (ExportedEncoder(module, model.form), x, model.encode(x)),
        "decoder": (ExportedDecoder(module, model.form), z, model.decode(z)),
    }
    place, paths = writable(Path(folder)), []
    for name, (part, given, expected) in parts.items():
        path = place / f"{name}{ending}"
        try:
            with quiet(), torch.no_grad():
                write(part.eval(), given, path)
            found = read(path, given)
        except Exception as error:  # of which class depends on the operation, and on torch
            path.unlink(missing_ok=True)
            raise ZooError(
                f"{format}: the {name} of this model cannot be exported ({_reason(error)}); choose another format"
            ) from error
        if not np.allclose(found, expected, atol=TOLERANCE * max(1.0, float(np.abs(expected).max())), rtol=0):
            path.unlink(missing_ok=True)
            apart = float(np.abs(found - expected).max())
            raise ZooError(f"{format}: the exported {name} differs from the model by {apart:.2g}, so it was deleted")
        paths.append(path)
    return paths


def plain(module: Autoencoder) -> Autoencoder:
    """A copy of a model on the CPU whose parametrised weights are plain ones."""
    found = copy.deepcopy(module).cpu().eval().requires_grad_(False)
    for part in [part for part in found.modules() if parametrize.is_parametrized(part)]:
        values = {name: getattr(part, name).detach().clone() for name in cast(nn.ModuleDict, part.parametrizations)}
        # torch.nn.utils.parametrize.remove_parametrizations would change the class that the original shares
        part.__class__ = type(part).__bases__[0]
        del part.parametrizations
        for name, value in values.items():
            part.register_parameter(name, nn.Parameter(value, requires_grad=False))
    return found


@contextmanager
def quiet() -> Iterator[None]:
    """Without the messages of exporters."""
    level = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)


def _to_onnx(part: nn.Module, given: Tensor, path: Path) -> None:
    names = ("x", "codes") if isinstance(part, ExportedEncoder) else ("codes", "x")
    torch.onnx.export(
        _program(part, given),
        (given,),
        str(path),
        dynamo=True,
        input_names=[names[0]],
        output_names=[names[1]],
        external_data=False,
        verbose=False,
    )


def _from_onnx(path: Path, given: Tensor) -> NDArray[np.float32]:
    session = _imported("onnxruntime").InferenceSession(str(path), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    found = [session.run(None, {name: part.numpy()})[0] for part in (given[:1], given[1:])]
    return np.concatenate(found)


def _to_torch(part: nn.Module, given: Tensor, path: Path) -> None:
    torch.export.save(_program(part, given), path)


def _program(part: nn.Module, given: Tensor) -> torch.export.ExportedProgram:
    """The operations of a part, for any number of samples."""
    batch = ({0: torch.export.Dim("batch", min=1)},)
    try:
        return torch.export.export(part, (given,), dynamic_shapes=batch, strict=False)
    except Exception:  # Python's len() makes the number of samples a constant; the other tracer knows better
        return torch.export.export(part, (given,), dynamic_shapes=batch, strict=True)


def _from_torch(path: Path, given: Tensor) -> NDArray[np.float32]:
    run = torch.export.load(path).module()
    found = [run(part).detach().numpy() for part in (given[:1], given[1:])]
    return np.concatenate(found)


Write = Callable[[nn.Module, Tensor, Path], None]
Read = Callable[[Path, Tensor], NDArray[np.float32]]
FORMATS: dict[str, tuple[str, Write, Read]] = {
    "onnx": (".onnx", _to_onnx, _from_onnx),
    "torch": (".pt2", _to_torch, _from_torch),
}


def _imported(package: str) -> Any:
    try:
        return import_module(package)
    except ImportError as error:
        raise ZooError("ONNX needs other packages: pip install 'bottleneck-zoo[onnx]'") from error


def _reason(error: Exception) -> str:
    """The line of an exporter's message that says why."""
    cause: BaseException = error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    lines = [line.strip() for line in str(cause).splitlines() if line.strip()]
    return lines[0][:160].rstrip(".") if lines else type(cause).__name__
