"""Memory that a step frees is kept for the next one."""

from __future__ import annotations

import ctypes
import sys
from functools import cache

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
