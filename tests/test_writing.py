"""Files appear whole or not at all, by one process at a time, and killed processes leave nothing for good."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

try:
    import resource
except ImportError:  # Windows
    resource = None

from zoo.errors import ZooError
from zoo.files import abandoned, locked, sweep, write_atomically, writing

WRITER = """
import sys, time
from pathlib import Path
from zoo.files import locked, writing
with {call}(Path(sys.argv[1])) as partial:
    if {call} is writing:
        partial.write_bytes(b"half")
    print("there", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(repository):
    """A process that is writing a file, or holds its lock; it is killed in the end."""
    running = []

    def start(call: str, path: Path) -> subprocess.Popen:
        code = WRITER.format(call=call)
        one = subprocess.Popen([sys.executable, "-c", code, str(path)], cwd=repository, stdout=subprocess.PIPE)
        running.append(one)
        assert one.stdout is not None
        assert one.stdout.readline() == b"there\n"
        return one

    yield start
    for one in running:
        one.kill()
        one.communicate()


def test_what_a_killed_writer_left_is_swept(holder, tmp_path):
    path = tmp_path / "model.safetensors"
    one = holder("writing", path)
    assert len(list(tmp_path.iterdir())) == 2, "its lock, and what it is writing"
    sweep(tmp_path)
    assert len(list(tmp_path.iterdir())) == 2, "the writer is alive"
    one.kill()
    one.wait()
    sweep(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_next_writer_sweeps_what_the_last_one_left(holder, tmp_path):
    path = tmp_path / "figure [1].png"
    one = holder("writing", path)
    one.kill()
    one.wait()
    write_atomically(path, b"whole")
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_bytes() == b"whole"


def test_a_lock_is_held_by_one_process_and_ends_with_it(holder, tmp_path):
    path = tmp_path / "run"
    one = holder("locked", path)
    with locked(path, wait=False) as held:
        assert not held
    assert not abandoned(path)
    one.kill()
    one.wait()
    assert abandoned(path)
    assert not abandoned(path), "reported once"
    with locked(path) as held:
        assert held
    assert list(tmp_path.iterdir()) == []


def test_no_two_hold_a_lock_that_is_taken_and_removed_all_the_time(tmp_path):
    """A lock file is removed while others wait for it; they must not hold the removed one."""
    inside, most, failed = [], [], []

    def work():
        for _ in range(100):
            with locked(tmp_path / "run", wait=False) as held:
                if held:
                    inside.append(1)
                    most.append(len(inside))
                    inside.pop()

    def noted():
        try:
            work()
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=noted) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert max(most) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_writer_that_fails_leaves_the_old_file(tmp_path):
    path = tmp_path / "file"
    write_atomically(path, b"old")

    def write():
        with writing(path) as partial:
            partial.write_bytes(b"new")
            raise ValueError

    with pytest.raises(ValueError, match=r"^$"):
        write()
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_bytes() == b"old"


def test_devices_and_pipes_are_not_replaced_and_links_stay(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/null")):
        with pytest.raises(ZooError, match="no regular file that could be replaced"):
            write_atomically(path, b"new")
    assert (tmp_path / "pipe").is_fifo()
    assert Path("/dev/null").is_char_device()
    (tmp_path / "target").write_bytes(b"old")
    (tmp_path / "link").symlink_to("target")
    write_atomically(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_bytes() == b"new"


ONE_OF_SEVERAL = """
import sys
from pathlib import Path
from zoo.files import write_atomically
for _ in range(300):
    write_atomically(Path(sys.argv[1]), sys.argv[2].encode() * 10_000)
"""


def test_of_several_writers_of_one_file_each_leaves_a_whole_one(repository, tmp_path):
    path, found = tmp_path / "model.safetensors", set()
    running = [
        subprocess.Popen([sys.executable, "-c", ONE_OF_SEVERAL, str(path), letter], cwd=repository) for letter in "abc"
    ]
    while any(process.poll() is None for process in running):
        if path.exists():
            found.add(path.read_bytes())
    assert [process.returncode for process in running] == [0, 0, 0]
    assert found <= {letter * 10_000 for letter in (b"a", b"b", b"c")}
    assert len(found) > 1
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(resource is None, reason="limits are those of POSIX")
def test_an_error_of_the_file_system_names_the_file(tmp_path):
    path, limits = tmp_path / "table.csv", resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))  # as on a full disk, the system names no file
    try:
        with pytest.raises(OSError, match="File too large") as caught:
            write_atomically(path, b"0" * 1000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert caught.value.filename == str(path)
    assert list(tmp_path.iterdir()) == []
