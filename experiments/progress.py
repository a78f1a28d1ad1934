"""A bar for the evaluation of one model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

if TYPE_CHECKING:
    from zoo.evaluation.metrics.registry import Metric


@contextmanager
def evaluation_bar(title: str, shown: bool) -> Iterator[Callable[[Metric, int, int], None]]:
    """What the evaluator calls before each metric, to move a bar that is gone in the end.

    Args:
        title: of the model that is scored.
        shown: False draws nothing.
    """
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Progress(*columns, disable=not shown, transient=True) as bar:
        task = bar.add_task(title, total=None)

        def show(metric: Metric, done: int, total: int) -> None:
            bar.update(task, completed=done, total=total, description=f"{title}: {metric.group}, {metric.name}")

        yield show
