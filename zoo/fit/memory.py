"""Memory of a fit: what a step frees is kept for the next one, and the most that was held is measured."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3  # of glibc's malloc.h
LARGEST_MMAP_THRESHOLD = 32 << 20  # bytes; glibc takes no larger one
KEPT, PADDED = 256 << 20, 64 << 20  # bytes


@cache
def keep_freed_memory() -> bool:
    """Let glibc keep up to 256 MB of freed memory for the process; elsewhere do nothing.

    By default the tensors of a step go back to the operating system with its end and are page-faulted in anew by the
    next, which takes up to a third of a convolutional network's time. Larger tensors than 32 MB still go back. Nothing
    that is computed changes. See mallopt(3).

    Returns:
        Whether glibc agreed.
    """
    if sys.platform != "linux":
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):  # another C library
        return False
    settings = {M_MMAP_THRESHOLD: LARGEST_MMAP_THRESHOLD, M_TRIM_THRESHOLD: KEPT, M_TOP_PAD: PADDED}
    agreed = [mallopt(name, value) == 1 for name, value in settings.items()]
    return all(agreed)


@contextmanager
def peak_memory() -> Iterator[Callable[[], float | None]]:
    """Measure the largest resident memory of this process, from entering to the end.

    Returns:
        a function that tells it in MiB; None where the system is not Linux, or does not let the count start anew.
    """
    process = Path("/proc/self")
    try:
        (process / "clear_refs").write_text("5")  # the high-water mark falls to what is held now: see proc(5)
    except OSError:
        yield lambda: None
        return
    found: list[float] = []

    def told() -> float:
        return found[0] if found else high_water()

    def high_water() -> float:
        status = (process / "status").read_text()
        (line,) = (line for line in status.splitlines() if line.startswith("VmHWM:"))
        return float(line.split()[1]) / 1024

    try:
        yield told
    finally:
        found.append(high_water())
