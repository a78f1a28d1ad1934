"""Costs of a model: size, arithmetic and time."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from zoo.evaluation.registry import NotApplicable, metric
from zoo.model.autoencoder import Autoencoder

WARM_UP = 3
SECONDS = 0.1
BUSY = 1.25  # processes per core


@metric("cost", "parameters", "lower")
def parameters(model: Autoencoder) -> float:
    """Number of trainable parameters; shared ones count once.

    Misleads: size is neither time nor arithmetic: a small convolution may need more multiplications than a large dense
    layer.
    """
    return sum(p.numel() for p in model.parameters())


@metric("cost", "multiply-accumulates per sample", "lower")
def macs(model: Autoencoder, image: Tensor) -> float:
    """Multiply-accumulates of matrix products, convolutions and attention that encode and decode one sample.

    Biases, activations and normalisation are not counted.

    Misleads: arithmetic is not time: small models mostly wait for memory and for calls.

    Args:
        model: the model.
        image: (1, C, H, W).
    """
    with CountedFlops() as counter:
        model.reconstruct(image)
    operations: int = counter.total
    return operations // 2


@metric("cost", "numbers per sample", "none")
def code_width(test_codes: Tensor) -> float:
    """Number of units in the code of one sample.

    test_codes: (N, D).

    Misleads: numbers are not bits: a sparse or discrete code of many numbers may hold fewer bits than a narrow dense
    one. See code_bits.
    """
    return test_codes.shape[1]


@metric("cost", "seconds", "lower", measured=True)
def fit_seconds(fit: Mapping[str, Any]) -> float:
    """Wall-clock time of the fit, including validation and excluding data loading.

    Misleads: it depends on the machine, its load, the number of threads and the chosen number of epochs, more than on
    the method.

    Raises:
        NotApplicable: the machine did other work, too: its load was above 1.25 processes per core.
    """
    if fit.get("load") is not None and fit["load"] > BUSY:
        raise NotApplicable(f"the machine did other work during the fit: {fit['load']:.1f} processes per core")
    return float(fit["seconds"])


@metric("cost", "MiB", "none", measured=True)
def fit_peak_memory(fit: Mapping[str, Any]) -> float:
    """Peak memory of the process during the fit, including data, libraries, and what it held before the fit.

    Misleads: libraries and data dominate it for small models, and a worker of a study still holds memory of the runs
    before.

    Raises:
        NotApplicable: the fit did not measure it.
    """
    if fit.get("peak_memory") is None:
        raise NotApplicable("the fit did not report its peak memory")
    return float(fit["peak_memory"])


@metric("cost", "epochs", "none")
def epochs(fit: Mapping[str, Any]) -> float:
    """Passes of the fit over the training samples; 1 for a closed form.

    Misleads: epochs with different batch sizes have different numbers of steps, and the single pass of a closed form is
    not comparable to an epoch of gradient steps.
    """
    return int(fit["epochs"])


@metric("throughput", "samples per second", "higher", measured=True)
def encode_images_per_second(model: Autoencoder, batch: Tensor) -> float:
    """Samples encoded per second of wall-clock time, 512 at a time (or all test samples where there are fewer).

    Median over at least 5 batches and 0.1 s, after a warm-up of 3 batches.

    Misleads: throughput of large batches says little about the delay of a single sample, and seconds of different
    machines do not compare.

    Args:
        model: the model.
        batch: (B, C, H, W).
    """
    return len(batch) / median_seconds(lambda: model.encode(batch), batch.device)


@metric("throughput", "samples per second", "higher", measured=True)
def decode_images_per_second(model: Autoencoder, batch: Tensor) -> float:
    """Codes decoded per second of wall-clock time, 512 at a time (or all test samples where there are fewer).

    Median over at least 5 batches and 0.1 s, after a warm-up of 3 batches.

    Misleads: throughput of large batches says little about the delay of a single sample, and seconds of different
    machines do not compare.

    Args:
        model: the model.
        batch: (B, C, H, W), the samples whose codes are decoded.
    """
    codes = model.encode(batch)
    return len(batch) / median_seconds(lambda: model.decode(codes), batch.device)


class CountedFlops(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Within, floating-point operations are counted by torch's own formulas.

    As `torch.utils.flop_counter.FlopCounterMode` counts, which also tracks modules; for that it imports torch's
    compiler, and with it a second and a half.

    Attributes:
        total: operations so far, two for each multiply-accumulate.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.total: int = 0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """False: nothing is compiled here, and torch need not import its compiler to skip this mode."""
        return False

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Call the operation, and count it if there is a formula."""
        out = func(*args, **(kwargs or {}))
        if (count := flop_registry.get(func._overloadpacket)) is not None:
            self.total += count(*args, **(kwargs or {}), out_val=out)
        return out


def median_seconds(call: Callable[[], object], device: torch.device) -> float:
    """Median wall-clock seconds of `call` over at least 5 calls and 0.1 s, after a warm-up of 3 calls."""

    def timed() -> float:
        start = time.perf_counter()
        call()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return time.perf_counter() - start

    for _ in range(WARM_UP):
        timed()
    times: list[float] = []
    end = time.perf_counter() + SECONDS
    while len(times) < 5 or time.perf_counter() < end:
        times.append(timed())
    return statistics.median(times)
