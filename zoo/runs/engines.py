"""Where runs are computed: each option of `engine` is a backend of joblib."""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from importlib import import_module
from multiprocessing import resource_tracker
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

import joblib
from omegaconf import DictConfig

from zoo.checks import check_count
from zoo.errors import ZooError
from zoo.options import build, node_of
from zoo.runs.compose import resolved

LOOK = 1.0  # seconds between checks that the parent of a worker is alive
ANSWER, JOIN, QUEUE = 10, 60, 10**7  # seconds to wait for a scheduler, for a worker, for a queued job
MOST_JOBS, LEAST_MEMORY = 10, 10**6  # at a time; bytes
ALONE = 2  # processes of a pool for one run at a time, as joblib takes one for this process
REPLACED = "A worker stopped while some jobs"  # loky's warning when it replaces a worker whose memory has grown
LEAKED = "ignore:resource_tracker"  # warnings of a process that removes the semaphores of an interrupted command
ENDING = (signal.SIGINT, signal.SIGTERM)
TERMINATED = 143  # exit status after SIGTERM


@dataclass(frozen=True)
class Workers:
    """A pool of processes for runs.

    Attributes:
        backend: arguments of `joblib.parallel_config`.
        at_once: number of runs at a time.
        lost: exception that is raised if a worker was killed.
        start_late: whether the processes start when the backend is first called.
    """

    backend: Mapping[str, Any]
    at_once: int
    lost: tuple[type[BaseException], ...]
    start_late: bool = False


class Engine(Protocol):
    """Where runs are computed."""

    def workers(self, runs: int, threads: int, gpu: bool) -> AbstractContextManager[Workers]:
        """Start workers, which end with the context.

        Args:
            runs: number of runs.
            threads: CPU threads of each run.
            gpu: whether each run needs a GPU.

        Raises:
            ZooError: a package is not installed, or a cluster does not answer.
        """
        ...


def engine_of(cfg: DictConfig) -> Engine:
    """The engine that a composed configuration chooses."""
    trust = tuple(cfg.trust)
    node = node_of("engine", resolved(cfg, "engine"), dict(cfg.hydra.runtime.choices), trust)
    engine: Engine = build("engine", node, trust)
    return engine


@dataclass(frozen=True)
class Local:
    """Processes of this machine.

    Attributes:
        processes: number of processes; None for the number of cores over the threads of a run, or one for runs on a
            GPU.
    """

    processes: int | None = None

    def __post_init__(self) -> None:
        _check_processes(self.processes)

    @contextmanager
    def workers(self, runs: int, threads: int, gpu: bool) -> Iterator[Workers]:
        """As `Engine` says."""
        from joblib.externals.loky.process_executor import TerminatedWorkerError

        start = {"initializer": begin_worker, "initargs": (os.getpid(),)}
        backend = {"backend": "loky", "inner_max_num_threads": 1, **start}
        count = min(self.processes or _processes(threads, gpu), runs)
        if LEAKED not in (filters := os.environ.get("PYTHONWARNINGS", "")):
            os.environ["PYTHONWARNINGS"] = f"{filters},{LEAKED}".lstrip(",")
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", REPLACED)
            yield Workers(backend, count, (TerminatedWorkerError,), start_late=True)


@dataclass(frozen=True)
class Dask:
    """A Dask cluster.

    Attributes:
        address: of its scheduler; None starts workers on this machine.
        processes: number of processes on this machine; None for as many as `Local` starts.
    """

    address: str | None = None
    processes: int | None = None

    def __post_init__(self) -> None:
        _check_processes(self.processes)
        if self.address is not None and self.processes is not None:
            raise ZooError(f"processes={self.processes}: the cluster of engine.address= has its own; leave it out")

    @contextmanager
    def workers(self, runs: int, threads: int, gpu: bool) -> Iterator[Workers]:
        """As `Engine` says."""
        distributed = _package("distributed", "dask")
        if self.address is None:
            count = min(self.processes or _processes(threads, gpu), runs)
            with _retries_left_to_the_zoo(), ExitStack() as stack:
                with without_interrupts():
                    cluster = stack.enter_context(
                        distributed.LocalCluster(
                            n_workers=count,
                            threads_per_worker=1,
                            memory_limit=0,
                            dashboard_address=":0",
                            silence_logs=logging.CRITICAL,
                        )
                    )
                yield _dask_workers(stack.enter_context(distributed.Client(cluster)), count, JOIN)
            return
        try:
            client = distributed.Client(self.address, timeout=ANSWER)
        except (OSError, TypeError, ValueError) as error:  # TypeError: tls:// without certificates
            raise ZooError(f"engine.address={self.address}: no Dask scheduler answers there ({error})") from error
        with client:
            try:
                client.wait_for_workers(1, timeout=JOIN)
            except TimeoutError as error:
                start = f"start some: dask worker {self.address} --nthreads 1"
                raise ZooError(f"engine.address={self.address}: no worker within {JOIN} seconds; {start}") from error
            found = client.nthreads()
            if (most := max(found.values())) > 1:
                raise ZooError(
                    f"engine.address={self.address}: a worker with {most} threads computes {most} runs in one process, "
                    "whose random numbers mix; start workers with --nthreads 1, several on a machine"
                )
            yield _dask_workers(client, len(found), JOIN)


@dataclass(frozen=True)
class Slurm:
    """Jobs of SLURM, each of them a Dask worker.

    Attributes:
        jobs: number of jobs at a time; None for one per run, at most 10.
        partition: SLURM's partition; None for its default.
        time: time limit of a job, in SLURM's format.
        memory: memory of a job, "4GB".
        gpus: GPUs of a job; None for one if runs need it.
        requeue: whether SLURM queues interrupted jobs again.
        logs: folder for the output of the jobs.
    """

    jobs: int | None
    partition: str | None
    time: str
    memory: str
    gpus: int | None
    requeue: bool
    logs: str

    def __post_init__(self) -> None:
        _check_processes(self.jobs, "engine.jobs")
        if self.gpus is not None:
            check_count(self.gpus, "engine.gpus", 0)

    @contextmanager
    def workers(self, runs: int, threads: int, gpu: bool) -> Iterator[Workers]:
        """As `Engine` says."""
        jobqueue, distributed = _package("dask_jobqueue", "slurm"), _package("distributed", "slurm")
        count = min(self.jobs or MOST_JOBS, runs)
        gpus = int(gpu) if self.gpus is None else self.gpus
        try:
            enough = _package("dask.utils", "slurm").parse_bytes(self.memory) >= LEAST_MEMORY  # "" is one byte for it
        except (ValueError, TypeError, OverflowError):
            enough = False
        if not enough:
            raise ZooError(f"engine=slurm: engine.memory={self.memory}: no amount of memory; say 4GB, for example")
        lines = ["--requeue" if self.requeue else "--no-requeue", *([f"--gres=gpu:{gpus}"] if gpus else [])]
        with _retries_left_to_the_zoo(), ExitStack() as stack:
            cluster = stack.enter_context(
                jobqueue.SLURMCluster(
                    queue=self.partition,
                    walltime=self.time,
                    cores=1,  # runs that a job computes at once
                    processes=1,
                    job_cpu=threads,
                    memory=self.memory,
                    job_extra_directives=lines,
                    worker_extra_args=["--memory-limit=0"],  # SLURM's holds; Dask would pause a worker before it
                    log_directory=str(Path(self.logs).absolute()),
                    scheduler_options={"dashboard_address": ":0"},
                    silence_logs=logging.CRITICAL,
                )
            )
            check_script(cluster.job_script())
            client = stack.enter_context(distributed.Client(cluster))
            cluster.adapt(minimum=count, maximum=count)  # so that a job that ends is replaced
            print("waiting for SLURM to start a job", flush=True)
            client.wait_for_workers(1)
            yield _dask_workers(client, count, QUEUE)


def check_script(script: str) -> None:
    """ZooError if SLURM would not take a job: Dask submits jobs in the background, and would wait for ever."""
    try:
        tried = subprocess.run(["sbatch", "--test-only"], input=script, capture_output=True, text=True, timeout=ANSWER)
    except FileNotFoundError as error:
        raise ZooError("engine=slurm: there is no sbatch here; run this on a machine that submits jobs") from error
    except subprocess.TimeoutExpired as error:
        raise ZooError(f"engine=slurm: sbatch did not answer within {ANSWER} seconds; is SLURM running?") from error
    if tried.returncode:
        raise ZooError(f"engine=slurm: sbatch refuses the jobs ({' '.join(tried.stderr.split())})")


@dataclass(frozen=True)
class Ray:
    """A Ray cluster.

    Attributes:
        address: of its head, "host:6379", or "auto" for the one of this machine; None starts one on this machine.
        processes: number of processes; None for as many as the cores or GPUs allow.
    """

    address: str | None = None
    processes: int | None = None

    def __post_init__(self) -> None:
        _check_processes(self.processes)

    @contextmanager
    def workers(self, runs: int, threads: int, gpu: bool) -> Iterator[Workers]:
        """As `Engine` says."""
        ray = _package("ray", "ray")
        count = min(self.processes or _processes(threads, gpu), runs)
        pool = max(count, ALONE)
        own = {"num_cpus": pool * threads, "include_dashboard": False} if self.address is None else {}
        try:
            check_reachable(self.address)
            with keeping_handlers():
                ray.init(self.address or "local", log_to_driver=False, logging_level=logging.ERROR, **own)
        except (OSError, ValueError, RuntimeError) as error:
            token = "if it asks for a token, set RAY_AUTH_MODE=token here, too"
            raise ZooError(f"engine.address={self.address}: no Ray cluster answers there ({error}); {token}") from error
        try:
            if self.address is not None or gpu:
                has = ray.cluster_resources()
                room = int(has.get("GPU", 0) if gpu else has.get("CPU", 0) // threads)
                count = min(self.processes or room, room, runs)
            if count < 1:
                needs = "a GPU" if gpu else f"{threads} cores"
                where = "this machine" if self.address is None else f"engine.address={self.address}: the cluster"
                raise ZooError(f"{where} lacks {needs} for a run")
            joblib.register_parallel_backend("zoo-ray", _ray_backend())
            share = count / max(count, ALONE)  # of what a run needs, where one of the processes is idle
            each = {"num_cpus": threads * share, "num_gpus": int(gpu) * share}
            yield Workers({"backend": "zoo-ray", "ray_remote_args": each}, count, (ray.exceptions.RayError,))
        finally:
            ray.shutdown()


def check_reachable(address: str | None) -> None:
    """OSError unless something listens at "host:port", where Ray itself would try for ten minutes."""
    host, colon, port = (address or "").rpartition(":")
    if colon and port.isdigit() and "/" not in host:
        socket.create_connection((host, int(port)), ANSWER).close()


def begin_worker(parent: int) -> None:
    """Prepare a process for runs that process `parent` sends: it ends with its parent, and immediately at SIGTERM."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles Ctrl-C
    signal.signal(signal.SIGTERM, lambda *_: os._exit(TERMINATED))  # where Lightning would only end the fit

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(LOOK)
        os._exit(TERMINATED)

    threading.Thread(target=watch, daemon=True).start()


@contextmanager
def keeping_handlers() -> Iterator[None]:
    """Inside, packages may replace the handlers of Ctrl-C and SIGTERM by their own, as Ray and dask-jobqueue do."""
    before = {number: signal.getsignal(number) for number in ENDING}
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():  # others may not, and nor may those packages
            for number, handler in before.items():
                signal.signal(number, handler or signal.SIG_DFL)


@contextmanager
def without_interrupts() -> Iterator[None]:
    """Inside, Ctrl-C and SIGTERM are deferred until the end; processes that start inside ignore Ctrl-C."""
    if sys.platform == "win32" or threading.current_thread() is not threading.main_thread():
        yield
        return
    resource_tracker.ensure_running()  # Python before 3.12 ends the block when it starts it, with the first process
    came: list[int] = []
    try:
        with keeping_handlers():
            for number in ENDING:
                signal.signal(number, lambda number, _: came.append(number))
            mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # which processes inherit, unlike handlers
            try:
                yield
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    finally:
        if came:
            signal.raise_signal(came[0])


def _processes(threads: int, gpu: bool) -> int:
    return 1 if gpu else max((os.cpu_count() or 1) // threads, 1)


def _check_processes(processes: int | None, name: str = "processes") -> None:
    if processes is not None and (type(processes) is not int or processes < 1):
        raise ZooError(f"{name}={processes}: runs are spread over a whole number of processes, at least 1")


def _package(name: str, extra: str) -> ModuleType:
    try:
        with keeping_handlers():
            return import_module(name)
    except ImportError as error:
        raise ZooError(f"engine={extra} needs other packages: pip install 'bottleneck-zoo[{extra}]'") from error


@contextmanager
def _retries_left_to_the_zoo() -> Iterator[None]:
    with _package("dask", "dask").config.set({"distributed.scheduler.allowed-failures": 0}):
        yield


def _dask_workers(client: Any, count: int, wait: int) -> Workers:
    joblib.register_parallel_backend("zoo-dask", _dask_backend())
    backend = {"backend": "zoo-dask", "client": client, "wait_for_workers_timeout": wait}
    return Workers(backend, count, (_package("distributed", "dask").scheduler.KilledWorker,))


def _dask_backend() -> type:
    from joblib._dask import DaskDistributedBackend

    class RetrievingDask(DaskDistributedBackend):  # type: ignore[misc]
        """joblib's own, but a worker that is alone computes, and a task that failed calls back.

        joblib computes in this process where a cluster has one worker, such as the first job of SLURM; and a generator
        would wait for a task that failed for ever.
        """

        def effective_n_jobs(self, n_jobs: int) -> int:
            found: int = super().effective_n_jobs(n_jobs)
            return max(ALONE, found)

        def submit(self, func: Any, callback: Callable[[Future[Any]], object] | None = None) -> Future[Any]:
            future: Future[Any] = super().submit(func, lambda _: None)
            if callback is not None:
                future.add_done_callback(callback)
            return future

        def retrieve_result_callback(self, out: Future[Any]) -> Any:
            return super().retrieve_result_callback(out.result())

    return RetrievingDask


def _ray_backend() -> type:
    backend: Any = _package("ray.util.joblib.ray_backend", "ray").RayBackend

    class RetrievingRay(backend):  # type: ignore[misc]
        """Ray's own, which calls back for every task, as a generator of results needs it, and does not say so."""

        supports_return_generator = True

    return RetrievingRay
