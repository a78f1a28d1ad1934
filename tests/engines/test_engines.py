"""Every engine gives the records that `local` gives, bit for bit: a local Dask, a local Ray, a SLURM of one node."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.launched import results
from zoo.errors import ZooError
from zoo.options import build, names, template
from zoo.runs import engines

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("engines")]  # they fill the machine
SWEEP = ("run", "-m", "data=digits", "evaluation.groups=[reconstruction]", "trainer.progress=false", "processes=2")
RUNS = (*SWEEP, "variant=pca,linear_ae,vae", "seed=0,1", "budget.epochs=2", "trainer.stacked=2")
PACKAGES = {"dask": "distributed", "ray": "ray", "slurm": "dask_jobqueue"}
LOCK = r"\.\w{10}-s\d\.lock"  # of a run
SLURM = Path(__file__).parent / "slurm.sh"


@pytest.fixture(scope="module")
def local(tmp_path_factory, repository):
    """The results of engine=local."""
    home = tmp_path_factory.mktemp("local")
    environment = os.environ | {"PYTHONPATH": str(repository), "ZOO_HOME": str(home)}
    done = subprocess.run([sys.executable, "-m", "zoo.cli", *RUNS], env=environment, cwd=home, check=False)
    assert done.returncode == 0
    return results(home)


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """A SLURM of this one machine, until the end of the test."""
    lacking = [name for name in ("slurmctld", "slurmd", "munged", "sbatch") if shutil.which(name) is None]
    if lacking or os.getuid() != 0:
        pytest.skip(f"a SLURM of this machine needs root, and Debian's slurm-wlm and munge (not there: {lacking})")
    ports = []
    for _ in range(2):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            ports.append(str(free.getsockname()[1]))
    folder = tmp_path / "slurm"
    folder.mkdir()
    cluster = subprocess.Popen([SLURM, folder, *ports], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert cluster.stdout is not None
        if cluster.stdout.readline() != "ready\n":
            pytest.fail((folder / "slurmctld.log").read_text()[-2000:] + (folder / "slurmd.log").read_text()[-2000:])
        monkeypatch.setenv("SLURM_CONF", str(folder / "slurm.conf"))
        yield
    finally:
        cluster.communicate()


def installed(engine):
    if find_spec(PACKAGES[engine]) is None:
        pytest.skip(f"pip install 'bottleneck-zoo[{engine}]'")


@pytest.mark.parametrize("engine", ["dask", "ray"])
def test_an_engine_gives_the_records_of_local(engine, local, launch, tmp_path):
    installed(engine)
    command = launch(*RUNS, f"engine={engine}")
    status, said = command.end(180)
    assert status == 0, said
    assert results(tmp_path) == local
    assert command.gone(30)  # Ray ends its own processes, in its own time


def test_slurm_gives_the_records_of_local(slurm, local, launch, tmp_path):
    installed("slurm")
    command = launch(*RUNS, "engine=slurm", "engine.memory=1GB", "engine.time=00:10:00")
    status, said = command.end(180)
    assert status == 0, said
    assert results(tmp_path) == local
    queued = subprocess.run(
        ["squeue", "--noheader", "--states=pending,running"], capture_output=True, text=True, check=True
    )
    assert queued.stdout == ""


def test_a_dask_worker_that_is_killed_in_the_middle_costs_nothing(launch, local, tmp_path):
    installed("dask")
    command = launch(*RUNS, "engine=dask")
    os.kill(command.holder(re.compile(r"\..*-s1\.lock")), signal.SIGKILL)
    status, said = command.end(180)
    assert status == 0, said
    assert "Traceback" not in said
    assert results(tmp_path).keys() == local.keys()
    assert command.gone()


def test_a_study_on_dask_that_is_killed_leaves_no_worker(launch, tmp_path):
    installed("dask")
    command = launch(*SWEEP, "variant=vae", "budget.epochs=5000", "seed=0,1", "engine=dask")
    command.holder(re.compile(r"\..*-s1\.lock"))
    os.kill(command.process.pid, signal.SIGKILL)
    command.end(5)
    assert command.gone()


@pytest.mark.parametrize("engine", ["dask", "ray"])
def test_a_single_run_is_computed_by_a_worker_too(launch, tmp_path, engine):
    installed(engine)
    command = launch("run", "data=digits", "variant=vae", "budget.epochs=2", "processes=1", f"engine={engine}")
    while not (locks := [path for path in tmp_path.rglob(".*.lock") if re.fullmatch(LOCK, path.name)]):
        assert command.process.poll() is None, command.end()
        time.sleep(0.01)
    assert command.process.pid not in command.holders(re.compile(re.escape(locks[0].name)))
    status, said = command.end(120)
    assert status == 0, said
    assert len(results(tmp_path)) == 2


@pytest.fixture
def other_cluster(tmp_path, repository):
    """The address of a Dask scheduler whose worker has other code of the zoo."""
    installed("dask")
    other, place = tmp_path / "other", tmp_path / "scheduler.json"
    for folder in ("zoo", "conf"):
        shutil.copytree(repository / folder, other / folder)
    with open(other / "zoo" / "arithmetic.py", "a") as file:
        file.write("\nOTHER = 1\n")
    start = [sys.executable, "-m", "dask"]
    commands = (
        [*start, "scheduler", "--port=0", "--no-dashboard", f"--scheduler-file={place}"],
        [*start, "worker", "--nthreads=1", "--memory-limit=0", "--no-nanny", f"--scheduler-file={place}"],
    )
    environment = os.environ | {"PYTHONPATH": str(other)}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    started = [subprocess.Popen(command, env=environment, cwd=other, **quiet) for command in commands]
    while not place.exists():
        assert started[0].poll() is None
        time.sleep(0.1)
    yield json.loads(place.read_text())["address"]
    for process in started:
        process.kill()
        process.wait()


def test_a_worker_with_other_code_is_refused_in_one_sentence(launch, other_cluster, tmp_path):
    command = launch("run", "-m", "variant=pca", "seed=0,1", "engine=dask", f"engine.address={other_cluster}")
    status, said = command.end(120)
    assert status == 2, said
    told = r"error: the worker on \S+ has code \w+ instead of \w+: install there what is installed here"
    assert re.fullmatch(told, said.splitlines()[-1])
    assert "Traceback" not in said
    assert not list((tmp_path / "outputs").rglob("*.json"))


@pytest.mark.parametrize("engine", PACKAGES)
def test_a_missing_package_is_one_sentence(engine, monkeypatch):
    monkeypatch.setitem(sys.modules, PACKAGES[engine], None)
    settings = {key: value for key, value in template("engine", engine).items() if key != "_target_"}
    chosen = {"option": engine, **settings, **({"jobs": 1} if engine == "slurm" else {"processes": 1})}
    told = rf"^engine={engine} needs other packages: pip install 'bottleneck-zoo\[{engine}\]'$"
    with pytest.raises(ZooError, match=told), build("engine", chosen).workers(1, 1, False):
        pass


def test_a_scheduler_that_does_not_answer_is_one_sentence(monkeypatch):
    installed("dask")
    monkeypatch.setattr(engines, "ANSWER", 1)
    for address in ("tcp://127.0.0.1:9", "nowhere"):
        told = rf"^engine\.address={address}: no Dask scheduler answers there"
        with pytest.raises(ZooError, match=told), engines.Dask(address).workers(1, 1, False):
            pass


@pytest.mark.parametrize("processes", [0, -7, 1.5, True, "two"])
def test_a_number_of_processes_that_is_none_is_refused(processes):
    for engine in (engines.Local, engines.Dask, engines.Ray):
        with pytest.raises(ZooError, match=rf"^processes={processes}: runs are spread over a whole number"):
            engine(processes=processes)


def test_every_engine_is_described(repository):
    page = (repository / "docs" / "clusters.md").read_text()
    for engine in names("engine"):
        assert f"engine={engine}" in page
