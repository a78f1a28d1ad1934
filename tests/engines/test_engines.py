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
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import joblib
import pandas as pd
import pytest
import torch
from filelock import FileLock

from tests.launched import results, threads_of_a_run
from zoo.errors import ZooError
from zoo.options import build, names, template
from zoo.runs import engines

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("engines")]  # they fill the machine
SWEEP = ("run", "-m", "data=digits", "evaluation.groups=[reconstruction]", "trainer.progress=false", "processes=2")
RUNS = (*SWEEP, "variant=pca,linear_ae,vae", "seed=0,1", "budget.epochs=2", "trainer.stacked=2")
STUDY = """
about: "a small study"
table:
  - [data=digits, "variant=pca,linear_ae", "seed=0,1", budget.epochs=2, "evaluation.groups=[reconstruction]"]
"""
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


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return str(free.getsockname()[1])


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """A SLURM of this one machine, until the end of the test."""
    lacking = [name for name in ("slurmctld", "slurmd", "munged", "sbatch") if shutil.which(name) is None]
    if lacking or os.getuid() != 0:
        pytest.skip(f"a SLURM of this machine needs root, and Debian's slurm-wlm and munge (not there: {lacking})")
    ports = [free_port(), free_port()]
    folder = tmp_path / "slurm"
    folder.mkdir()
    cluster = subprocess.Popen([SLURM, folder, *ports], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert cluster.stdout is not None
        if cluster.stdout.readline() != "ready\n":
            logs = " ".join(path.read_text()[-1000:] for path in sorted(folder.glob("slurm*.log")))
            pytest.skip(f"SLURM does not start on this machine: {logs}")
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


@pytest.mark.parametrize("engine", ["dask", "ray"])
def test_a_study_on_an_engine_gives_the_records_and_tables_of_local(engine, launch, tmp_path):
    installed(engine)
    (tmp_path / "conf" / "study").mkdir(parents=True)
    (tmp_path / "conf" / "study" / "small.yaml").write_text(STUDY)
    found = []
    for option in ("local", engine):
        command = launch("study", "small", "--config-dir=conf", "processes=2", f"engine={option}")
        status, said = command.end(180)
        assert status == 0, said
        table = pd.read_csv(tmp_path / "outputs" / "small" / "benchmark.csv")
        measured = [column for column in table if column.startswith("fit_")]  # seconds and memory
        found.append((results(tmp_path), table.drop(columns=measured)))
        shutil.rmtree(tmp_path / "outputs")
    (records, table), (others, other) = found
    assert records == others
    pd.testing.assert_frame_equal(table, other)


def output_of(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_slurm_gives_the_records_of_local(slurm, local, launch, tmp_path):
    """Also if SLURM interrupts a job and queues it again; jobs get what was asked for, and none is left."""
    installed("slurm")
    asked = ("engine.partition=long", "engine.gpus=1", "engine.jobs=2", "engine.time=00:10:00", "engine.memory=1GB")
    command = launch(*RUNS, "engine=slurm", *asked)
    lock = command.waits_for(re.compile(LOCK), tmp_path, 120)
    (job, *_) = output_of("squeue", "--noheader", "--format=%i", "--states=running").split()
    told = output_of("scontrol", "show", "job", job)
    for each in ("Partition=long", "TimeLimit=00:10:00", "Requeue=1", "gpu:1", "NumCPUs=1 "):
        assert each in told, told
    output_of("scontrol", "requeue", job)
    status, said = command.end(240)
    assert status == 0, said
    assert results(tmp_path) == local
    assert not lock.exists()
    assert output_of("squeue", "--noheader", "--states=pending,running") == ""


@contextmanager
def dask_cluster(folder, code, workers):
    """The address of a Dask scheduler with single-threaded workers, which have the zoo of `code` and nothing else."""
    place, start = folder / "scheduler.json", [sys.executable, "-m", "dask"]
    options = [f"--scheduler-file={place}"]
    scheduler = [*start, "scheduler", "--port=0", "--no-dashboard", *options]
    worker = [*start, "worker", "--nthreads=1", "--memory-limit=0", "--no-nanny", *options]
    environment = os.environ | {"PYTHONPATH": str(code)}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    started = [
        subprocess.Popen(command, env=environment, cwd="/", **quiet) for command in (scheduler, *workers * [worker])
    ]
    try:
        while not place.exists():
            assert started[0].poll() is None
            time.sleep(0.1)
        yield json.loads(place.read_text())["address"]
    finally:
        for process in started:
            process.kill()
            process.wait()


@pytest.fixture
def dask_address(tmp_path, repository):
    """The address of a Dask scheduler with two workers that have nothing but the package."""
    installed("dask")
    with dask_cluster(tmp_path, repository, 2) as address:
        yield address


@pytest.fixture(autouse=True)
def token(monkeypatch):
    """The token of all Ray clusters, as a process asks for one in all that it joins or in none."""
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", 64 * "a")


@pytest.fixture
def ray_address(tmp_path, repository):
    """The address of a Ray cluster of this machine, with two cores, a token, and two GPUs by its own account."""
    installed("ray")
    address, log = f"127.0.0.1:{free_port()}", tmp_path / "ray.log"
    start = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block", "--num-cpus=2", "--num-gpus=2"]
    options = [f"--port={address.split(':')[1]}", "--include-dashboard=false"]
    environment = os.environ | {"PYTHONPATH": str(repository)}
    with open(log, "w") as file:
        head = subprocess.Popen([*start, *options], env=environment, cwd="/", stdout=file, stderr=file)
    try:
        while "Ray runtime started" not in log.read_text():
            assert head.poll() is None, log.read_text()
            time.sleep(0.2)
        yield address
    finally:
        head.terminate()
        head.wait(60)


@pytest.mark.parametrize("engine", ["dask", "ray"])
def test_a_cluster_at_an_address_gives_the_records_of_local(engine, local, launch, tmp_path, request):
    address = request.getfixturevalue(f"{engine}_address")
    arguments = [each for each in RUNS if not each.startswith("processes")]
    status, said = launch(*arguments, f"engine={engine}", f"engine.address={address}").end(240)
    assert status == 0, said
    assert results(tmp_path) == local


@pytest.mark.parametrize("engine", ["local", "dask", "ray"])
def test_a_run_has_the_threads_that_were_asked_for(engine, repository, monkeypatch):
    if engine != "local":
        installed(engine)
    monkeypatch.setenv("PYTHONPATH", str(repository))
    settings = {key: value for key, value in template("engine", engine).items() if key != "_target_"}
    chosen = build("engine", settings | {"option": engine, "processes": 2})
    with chosen.workers(2, 2, False) as workers, joblib.parallel_config(**workers.backend):
        found = joblib.Parallel(workers.at_once)(joblib.delayed(threads_of_a_run)(2) for _ in range(2))
    assert found == [(2, {2})] * 2


def test_slurm_gives_each_job_the_cores_of_a_run(slurm, launch, tmp_path):
    installed("slurm")
    asked = ("engine=slurm", "engine.memory=1GB", "trainer.threads=2")
    command = launch(*SWEEP, "variant=vae", "budget.epochs=30", *asked)
    command.waits_for(re.compile(LOCK), tmp_path)
    assert "NumCPUs=2 " in output_of("scontrol", "show", "job")
    status, said = command.end(240)
    assert status == 0, said


def test_ray_gives_each_run_a_gpu_of_its_own(ray_address):
    with build("engine", {"option": "ray", "address": ray_address, "processes": None}).workers(2, 1, True) as workers:
        assert workers.at_once == 2
        with joblib.parallel_config(**workers.backend):
            seen = joblib.Parallel(workers.at_once)(joblib.delayed(os.getenv)("CUDA_VISIBLE_DEVICES") for _ in range(2))
    assert all(gpus in ("0", "1") for gpus in seen), seen


def test_a_dask_worker_that_is_killed_in_the_middle_costs_nothing(launch, local, tmp_path):
    installed("dask")
    command = launch(*RUNS, "engine=dask")
    os.kill(command.holder(re.compile(r"\..*-s1\.lock")), signal.SIGKILL)
    status, said = command.end(180)
    assert status == 0, said
    assert "Traceback" not in said
    assert results(tmp_path) == local
    assert command.gone()


def test_a_study_on_dask_that_is_killed_leaves_no_worker(launch, tmp_path):
    installed("dask")
    command = launch(*SWEEP, "variant=vae", "budget.epochs=5000", "seed=0,1", "engine=dask")
    command.holder(re.compile(r"\..*-s1\.lock"))
    os.kill(command.process.pid, signal.SIGKILL)
    command.end(5)
    assert command.gone()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("engine", ["dask", "ray", "slurm"])
def test_a_study_on_an_engine_that_is_ended_says_so_and_leaves_no_worker(engine, number, launch, tmp_path, request):
    installed(engine)
    asked = [f"engine={engine}"]
    if engine == "slurm":
        request.getfixturevalue("slurm")
        asked.append("engine.memory=1GB")
    command = launch(*SWEEP, "variant=vae", "budget.epochs=5000", "seed=0,1", *asked)
    command.waits_for(re.compile(LOCK), tmp_path, 120)
    time.sleep(2)  # the fits have begun
    command.interrupt(number)
    status, said = command.end()
    assert status == 128 + number, said
    assert said.splitlines()[-1].endswith("finished runs are kept; the same command resumes"), said
    assert "Traceback" not in said
    assert command.gone()
    for path in tmp_path.rglob(".*.lock"):  # which a worker that outlives its study still holds
        with FileLock(path, timeout=5):
            pass
    if engine == "slurm":
        assert output_of("squeue", "--noheader", "--states=pending,running") == ""


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
    other = tmp_path / "other"
    for folder in ("zoo", "conf"):
        shutil.copytree(repository / folder, other / folder)
    with open(other / "zoo" / "arithmetic.py", "a") as file:
        file.write("\nOTHER = 1\n")
    with dask_cluster(tmp_path, other, 1) as address:
        yield address


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
    for address in ("tcp://127.0.0.1:9", "nowhere", "tls://127.0.0.1:9"):
        told = rf"^engine\.address={address}: no Dask scheduler answers there"
        with pytest.raises(ZooError, match=told), engines.Dask(address).workers(1, 1, False):
            pass


def test_a_ray_cluster_that_does_not_answer_is_one_sentence(monkeypatch):
    installed("ray")
    monkeypatch.setattr(engines, "ANSWER", 1)
    told = r"^engine\.address=127\.0\.0\.1:9: no Ray cluster answers there"
    with pytest.raises(ZooError, match=told), engines.Ray("127.0.0.1:9").workers(1, 1, False):
        pass


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_gpu_that_this_machine_lacks_is_one_sentence():
    installed("ray")
    at_end = signal.getsignal(signal.SIGTERM)
    with pytest.raises(ZooError, match=r"^this machine lacks a GPU for a run$"), engines.Ray().workers(1, 1, True):
        pass
    assert signal.getsignal(signal.SIGTERM) is at_end


@pytest.mark.parametrize(
    ("answer", "settings", "told"),
    [
        (None, {}, "there is no sbatch here"),
        ("echo sbatch: error: invalid partition >&2; exit 1", {}, r"sbatch refuses the jobs \(.*invalid partition\)"),
        ("sleep 9", {}, "sbatch did not answer within 1 seconds"),
        ("exit 0", {"memory": "abc"}, "abc"),
    ],
)
def test_a_slurm_that_takes_no_jobs_is_one_sentence(tmp_path, monkeypatch, answer, settings, told):
    """Dask would submit them in the background, and wait for ever."""
    installed("slurm")
    monkeypatch.setattr(engines, "ANSWER", 1)
    monkeypatch.setenv("PATH", str(tmp_path))
    if answer is not None:
        (tmp_path / "sbatch").write_text(f"#!/bin/sh\nPATH=/bin:/usr/bin\n{answer}\n")
        (tmp_path / "sbatch").chmod(0o755)
    given = {key: value for key, value in template("engine", "slurm").items() if key != "_target_"}
    engine = build("engine", {"option": "slurm", **given, "jobs": 1, "logs": str(tmp_path), **settings})
    with pytest.raises(ZooError, match=rf"^engine=slurm: .*{told}"), engine.workers(1, 1, False):
        pass


@pytest.mark.parametrize("memory", ["-1GB", "0GB", "", "1e400GB", "much"])
def test_memory_of_a_job_that_is_none_is_one_sentence(memory):
    installed("slurm")
    settings = {key: value for key, value in template("engine", "slurm").items() if key != "_target_"}
    engine = build("engine", settings | {"option": "slurm", "memory": memory, "jobs": 1, "logs": "logs"})
    with pytest.raises(ZooError, match=rf"engine\.memory={memory}: no amount of memory; say 4GB"):
        engine.workers(1, 1, False).__enter__()


@pytest.mark.parametrize("processes", [0, -7, 1.5, True, "two"])
def test_a_number_of_processes_that_is_none_is_refused(processes):
    for engine in (engines.Local, engines.Dask, engines.Ray):
        with pytest.raises(ZooError, match=rf"^processes={processes}: runs are spread over a whole number"):
            engine(processes=processes)


def test_every_engine_is_described(repository):
    page = (repository / "docs" / "clusters.md").read_text()
    for engine in names("engine"):
        assert f"engine={engine}" in page


def test_a_single_run_that_fails_on_a_worker_fails(launch, tmp_path):
    """Also where it has a record, from before its model was lost."""
    installed("dask")
    run = ("run", "data=digits", "variant=pca")
    status, said = launch(*run, "evaluation.groups=[reconstruction]").end()
    assert status == 0, said
    next(tmp_path.rglob("*.safetensors")).unlink()
    for engine in ("local", "dask"):
        status, said = launch(*run, "evaluation.groups=[reconstruction,code]", f"engine={engine}", "processes=1").end()
        assert status == 2, said
        assert "this model is not on this machine" in said
