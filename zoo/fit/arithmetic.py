"""How a fit computes: its threads, the precision of its products, and what would slow it down for nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

MATMUL = ("auto", "highest", "high", "medium")
SLOW_CHECK = "PYTORCH_NVML_BASED_CUDA_CHECK"


@contextmanager
def arithmetic(matmul: str, threads: int) -> Iterator[None]:
    """Compute with so many threads and that precision of float32 products, and put all back.

    Within, numbers below 1e-38 are zero. Adam's means of a gradient that is gone (the weights of a pixel that is black
    in nearly every image) fade into such denormal numbers. They move no weight, but an Intel processor takes a hundred
    cycles for each: a step of the optimiser takes up to ten times as long.

    Nor is the graphics driver looked for anew at every step. Torch's optimisers ask whether there is a GPU, and
    Lightning has torch answer by loading the driver's library: 0.1 ms, where there is none.

    Args:
        matmul: torch's name of the precision, or "auto", see `exact_matmul`.
        threads: CPU threads.
    """
    before = torch.get_float32_matmul_precision(), torch.get_num_threads(), flushes()
    check = os.environ.pop(SLOW_CHECK, None)
    compute(exact_matmul() if matmul == "auto" else matmul, threads, flush=True)
    try:
        yield
    finally:
        compute(*before)
        if check is not None:
            os.environ[SLOW_CHECK] = check


def compute(matmul: str, threads: int, flush: bool) -> None:
    """From here on with torch's precision `matmul`, so many threads, and denormal numbers as zero or as they are."""
    torch.set_float32_matmul_precision(matmul)
    torch.set_num_threads(threads)
    torch.set_flush_denormal(flush)


def exact_matmul() -> str:
    """The quickest precision of float32 products that rounds them no more than float32 does.

    "medium" goes through oneDNN. On AMD's processors, which MKL neglects, that takes half the time. On Intel's it takes
    up to three times as long for small networks; and with AMX, as on some of ARM's, oneDNN may round to bfloat16.
    """
    about: dict[str, str] = getattr(torch.cpu, "get_capabilities", dict)()  # newer than the oldest torch that will do
    return "medium" if "AMD" in about.get("cpu_name", "") else "highest"


def flushes() -> bool:
    """Whether this thread takes denormal numbers for zero."""
    return not torch.full((), 1e-40).mul(1).item()
