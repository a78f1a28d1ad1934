"""Arithmetic of fits and evaluations: CPU threads, precision of matrix products, denormal numbers."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from threadpoolctl import threadpool_limits

MATMUL = ("auto", "highest", "high", "medium")
SLOW_CHECK = "PYTORCH_NVML_BASED_CUDA_CHECK"


@contextmanager
def arithmetic(matmul: str, threads: int) -> Iterator[None]:
    """Set the number of threads and the precision of float32 products, and restore both afterwards.

    Inside, numbers below 1e-38 are flushed to zero. Adam's running means of a gradient that has become zero (weights of
    a pixel that is black in nearly every image) decay to such denormal numbers. They change no weight, but Intel
    processors need a hundred cycles for each, so that an optimiser step takes up to ten times as long.

    Inside, torch also does not look for a GPU driver at every step. Its optimisers check whether there is a GPU, and
    with Lightning's setting the check loads the driver's library: 0.1 ms on machines without one.

    Args:
        matmul: torch's name of the precision, or "auto", see `exact_matmul`.
        threads: CPU threads.
    """
    before = torch.get_float32_matmul_precision(), torch.get_num_threads(), flushes_denormals()
    check = os.environ.pop(SLOW_CHECK, None)
    set_arithmetic(exact_matmul() if matmul == "auto" else matmul, threads, flush=True)
    try:
        yield
    finally:
        set_arithmetic(*before)
        if check is not None:
            os.environ[SLOW_CHECK] = check


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute with one thread, and restore the number afterwards: torch, and the BLAS and OpenMP of NumPy and SciPy.

    Sums that are split over threads differ in their last bits. Closed forms have no setting of threads, and so use one;
    libraries that are loaded inside are not limited.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        torch.set_num_threads(before)


def set_arithmetic(matmul: str, threads: int, flush: bool) -> None:
    """Set torch's precision of float32 products, the number of threads, and whether denormal numbers become zero."""
    torch.set_float32_matmul_precision(matmul)
    torch.set_num_threads(threads)
    torch.set_flush_denormal(flush)


def exact_matmul() -> str:
    """The fastest precision of float32 products that is exact on this processor.

    "medium" uses oneDNN. On AMD processors it takes half the time of MKL. On Intel processors it takes up to three
    times as long for small networks, and with AMX, as on some ARM processors, oneDNN may round to bfloat16.
    """
    return "medium" if "AMD" in capabilities().get("cpu_name", "") else "highest"


def multiplies_bf16(device: torch.device) -> bool:
    """Whether products of matrices are faster in bf16 than in float32 there, because there are instructions for them.

    Without these (Intel before Sapphire Rapids but for Cooper Lake, AMD before Zen 4), torch converts element by
    element: on Zen 3, products in bf16 take ten times as long as in float32.

    Limitations: True for x86 processors with AVX512-BF16 or AMX and for GPUs of NVIDIA from Ampere on; False for all
    others, some of which have such instructions, and for all CPUs where torch is too old to say.
    """
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    about = capabilities() if device.type == "cpu" else {}
    return bool(about.get("avx512_bf16") or about.get("amx_bf16"))


def capabilities() -> Mapping[str, Any]:
    """What torch says of the processor; empty where it is too old to."""
    found: Mapping[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return found


def flushes_denormals() -> bool:
    """Whether denormal numbers become zero in this thread."""
    return not torch.full((), 1e-40).mul(1).item()
