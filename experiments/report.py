"""Records -> tables and figures."""

from collections.abc import Sequence

from experiments.job import Job


def report_jobs(table: Sequence[Job], others: Sequence[Job], command: str) -> None:
    print(len(table), len(others), command)
