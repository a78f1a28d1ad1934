"""One fit by several processes of this machine, each of which builds its model and reads its data itself."""

from __future__ import annotations

import logging
import os
import re
import socket
import warnings
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import torch
from torch.multiprocessing.spawn import ProcessExitedException, ProcessRaisedException, spawn

from zoo.errors import ZooError
from zoo.runs.engines import begin_worker
from zoo.runs.job import Job
from zoo.types import FitReport

if TYPE_CHECKING:
    from zoo.model.autoencoder import Autoencoder

RESULT = "fitted.pt"


def fit_by_processes(job: Job, devices: int, model: Autoencoder) -> tuple[FitReport, float | None]:
    """Fit `model` in place, by as many processes as there are devices.

    Returns:
        How the fit went, and the peak memory of the first process.

    Raises:
        ZooError: as of a fit by one process.
    """
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # else each process warns of what costs a little time
    with TemporaryDirectory() as folder:
        try:
            given = job, devices, free_port(), os.getcwd(), folder, os.getpid()
            spawn(fit_in_process, given, nprocs=devices, daemon=True)  # type: ignore[no-untyped-call]
        except ProcessRaisedException as error:
            raise mistake_in(error) or error from None
        except ProcessExitedException as error:
            raise ZooError(f"{error}; did it run out of memory? the same command resumes the fit") from error
        result = torch.load(Path(folder) / RESULT, weights_only=True)
    model.load_state_dict(result["model"])
    return FitReport(**result["report"]), result["peak_memory"]


def mistake_in(error: ProcessRaisedException) -> ZooError | None:
    """The mistake of a user that ended a process, from the text of its traceback; None for other errors."""
    found = re.findall(r"^zoo\.errors\.ZooError: (.*)$", str(error), flags=re.M)
    return ZooError(found[-1]) if found else None


def fit_in_process(rank: int, job: Job, devices: int, port: int, folder: str, results: str, parent: int) -> None:
    """Take part in a fit, as process `rank`; the first one writes what was fitted.

    Args:
        rank: number of the process, from 0.
        job: the run.
        devices: number of processes.
        port: by which they find each other.
        folder: to which the paths of the run are relative.
        results: folder for what was fitted.
        parent: process that started it, with which it ends.
    """
    begin_worker(parent)
    os.chdir(folder)
    os.environ |= {"LOCAL_RANK": str(rank), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    warnings.simplefilter("ignore")  # Lightning's, of its own parts
    import lightning  # noqa: F401 (it sets the levels)

    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    if rank:
        logging.getLogger("zoo").setLevel(logging.ERROR)  # only the first process logs
    from zoo.runs.single import fit_here, read

    torch.set_num_threads(job.threads)
    fitted = fit_here(job, read(job), first=rank == 0)
    if rank == 0:
        content = {"model": fitted.model.state_dict(), "report": asdict(fitted.report)}
        torch.save(content | {"peak_memory": fitted.peak_memory}, Path(results) / RESULT)


def free_port() -> int:
    """A port of this machine that nothing uses."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
    return port
