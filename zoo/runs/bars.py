"""The terminal, and progress bars that fit one of 80 columns."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

if TYPE_CHECKING:
    from zoo.evaluation.registry import Metric

TITLE = 44  # characters that the name of a run and a metric may take


class Terminal(Console):
    """Rich's console; if its reader has ended, as in `zoo variants | head`, it raises what `print` raises."""

    def on_broken_pipe(self) -> NoReturn:
        """Raise BrokenPipeError, where Rich would leave the process."""
        raise BrokenPipeError


@contextmanager
def evaluation_bar(title: str, shown: bool) -> Iterator[Callable[[Metric, int, int], None]]:
    """The evaluator's progress callback, drawing a bar that disappears at the end.

    Args:
        title: of the model that is measured.
        shown: False draws nothing.
    """
    columns = (BarColumn(bar_width=12), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    console = Terminal()
    with Progress(*columns, console=console, disable=not (shown and console.is_terminal), transient=True) as bar:
        task = bar.add_task(title[:TITLE], total=None)

        def show(metric: Metric, done: int, total: int) -> None:
            room = max(TITLE - len(metric.name) - 2, 0)
            bar.update(task, completed=done, total=total, description=f"{title[:room]}: {metric.name}")

        yield show
