"""Every engine gives the records that `local` gives, bit for bit: a local Dask, a local Ray, a SLURM of one node."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from zoo.errors import ZooError
from zoo.options import build, names, template
from zoo.runs import engines
from zoo.runs.records import read_record

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("engines")]  # they fill the machine
SWEEP = ("run", "-m", "data=digits", "evaluation.groups=[reconstruction]", "trainer.progress=false", "processes=2")
RUNS = (*SWEEP, "variant=pca,linear_ae,vae", "seed=0,1", "budget.epochs=2", "trainer.stacked=2")
PACKAGES = {"dask": "distributed", "ray": "ray", "slurm": "dask_jobqueue"}
SLURM = Path(__file__).parent / "slurm.sh"


def results(folder):
    """What does not depend on the clock: records, and digests of model files."""
    found = {}
    for path in (folder / "outputs" / "records").rglob("*.json"):
        record = read_record(path)
        metrics = {name: entry for name, entry in record.metrics.items() if not entry["measured"]}
        fit = {key: value for key, value in record.fit.items() if key not in ("seconds", "peak_memory", "load")}
        found[path.name] = json.dumps([record.name, record.config, record.code, fit, metrics, record.images])
    for path in (folder / "outputs" / "models").rglob("*.safetensors"):
        found[path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


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
    assert command.gone()


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
