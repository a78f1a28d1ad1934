import ctypes
import subprocess
import sys

import pytest

from zoo.memory import keep_freed_memory

MAPPINGS = """
import ctypes
from zoo.memory import keep_freed_memory

class Counts(ctypes.Structure):  # struct mallinfo2 of malloc.h
    names = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost"
    _fields_ = [(name, ctypes.c_size_t) for name in names.split()]

library = ctypes.CDLL(None)
library.mallinfo2.restype, library.malloc.restype = Counts, ctypes.c_void_p

def mappings():
    before = library.mallinfo2().hblks
    block = library.malloc(ctypes.c_size_t(16 << 20))
    found = library.mallinfo2().hblks - before
    library.free(ctypes.c_void_p(block))
    return found

print(mappings(), keep_freed_memory(), mappings())
"""


def c_library_has(name):
    return sys.platform == "linux" and hasattr(ctypes.CDLL(None), name)


def test_glibc_accepts_the_settings_and_other_libraries_are_not_changed():
    assert keep_freed_memory() is c_library_has("gnu_get_libc_version")


@pytest.mark.skipif(not c_library_has("mallinfo2"), reason="needs glibc 2.33")
def test_a_tensor_of_16_mb_is_not_mapped_separately(repository):
    """Mapped memory returns to the operating system as soon as it is freed."""
    done = subprocess.run([sys.executable, "-c", MAPPINGS], cwd=repository, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1", "True", "0"]


PEAKS = """
from zoo.memory import peak_memory

def hold(mebibytes):
    return len(bytearray(mebibytes << 20))

with peak_memory() as idle:
    pass
hold(200)
with peak_memory() as small:
    hold(50)
with peak_memory() as large:
    hold(200)
hold(400)
print(small() - idle(), large() - small())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="measured on Linux only")
def test_the_peak_includes_freed_memory_and_excludes_earlier_peaks(repository):
    """In a separate process, whose allocator holds no memory of other tests."""
    done = subprocess.run([sys.executable, "-c", PEAKS], cwd=repository, capture_output=True, text=True, check=True)
    small, large = map(float, done.stdout.split())
    assert 40 < small < 100
    assert 140 < large < 160
