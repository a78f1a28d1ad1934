"""Memory of this process: freed memory is kept for the next step, or returned, and its peak is measured."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3  # from glibc's malloc.h
LARGEST_MMAP_THRESHOLD = 32 << 20  # bytes; the largest that glibc accepts
KEPT, PADDED = 256 << 20, 64 << 20  # bytes


@cache
def keep_freed_memory() -> bool:
    """Let glibc keep up to 256 MB of freed memory for this process; no effect with other C libraries.

    By default the memory of a step's tensors returns to the operating system at the end of the step, and the next step
    page-faults it in again, which takes up to a third of a convolutional network's time. Tensors above 32 MB still
    return. Results do not change. See mallopt(3).

    Returns:
        Whether glibc accepted the settings.
    """
    if sys.platform != "linux":
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):  # another C library
        return False
    settings = {M_MMAP_THRESHOLD: LARGEST_MMAP_THRESHOLD, M_TRIM_THRESHOLD: KEPT, M_TOP_PAD: PADDED}
    accepted = [mallopt(name, value) == 1 for name, value in settings.items()]
    return all(accepted)


def release_freed_memory() -> None:
    """Return what `keep_freed_memory` kept to the operating system; no effect with other C libraries than glibc."""
    if sys.platform == "linux":
        with suppress(AttributeError, OSError):
            ctypes.CDLL(None).malloc_trim(0)


@contextmanager
def peak_memory() -> Iterator[Callable[[], float | None]]:
    """Measure the largest resident memory of this process inside the context.

    Returns:
        A function that returns the peak in MiB; None where the system is not Linux, or the peak cannot be reset.
    """
    process = Path("/proc/self")
    try:
        (process / "clear_refs").write_text("5")  # resets the high-water mark to the current value: see proc(5)
    except OSError:
        yield lambda: None
        return
    final: list[float] = []

    def peak() -> float:
        return final[0] if final else high_water()

    def high_water() -> float:
        status = (process / "status").read_text()
        (line,) = (line for line in status.splitlines() if line.startswith("VmHWM:"))
        return float(line.split()[1]) / 1024

    try:
        yield peak
    finally:
        final.append(high_water())
