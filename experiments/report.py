"""Records -> tables and figures.

`python -m experiments.report study=digits` reports a study; `data=mnist` all records of a data set at its own width.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from experiments.benchmark import print_benchmark, summary, write_report
from experiments.grid import jobs_of
from experiments.job import Job
from zoo.errors import ZooError
from zoo.records import Record, read_records, write_atomically


def report_study(table: Sequence[Job], figures: Sequence[Job], overrides: Sequence[str]) -> None:
    """Write and print what a study came to. Runs that are not done yet are left out, and their number is told.

    Args:
        table: runs that fill its table.
        figures: runs that only its figures show besides.
        overrides: what was said of it on the command line, "study=digits" among it.
    """
    rows, others = ([record for job in jobs if (record := job.recorded())] for jobs in (table, figures))
    if lacking := len(table) + len(figures) - len(rows) - len(others):
        print(f"{lacking} runs of this study have no record yet")
    (name,) = (override.split("=")[1] for override in overrides if override.startswith("study="))
    command = " ".join(["python -m experiments.report", *overrides])
    tell(rows, [*rows, *others], table[0].results / name, command)


def tell(table: Sequence[Record], sweep: Sequence[Record], folder: Path, command: str) -> None:
    """Write tables and figures of one data set, print the table, and name the files."""
    files = write_report(table, folder, command, sweep)
    print_benchmark(table)
    readme = folder.parent.parent / "README.md"  # of the checkout, if the results are its own
    if readme.is_file() and (text := quoting(before := readme.read_text(), folder.name, table)) != before:
        write_atomically(readme, text.encode())
        files.append(readme)
    for file in files:
        print(file)


def quoting(text: str, name: str, records: Sequence[Record]) -> str:
    """`text` with the summary of the records between its marks `<!-- table: <name> -->` and `<!-- end -->`, if any."""
    mark = re.escape(f"<!-- table: {name} -->")
    return re.sub(rf"({mark}\n).*?(?=<!-- end -->)", lambda found: f"{found[1]}{summary(records)}\n", text, flags=re.S)


@hydra.main(version_base="1.3", config_path="../conf", config_name="config")
def main(cfg: DictConfig) -> None:
    """Report a study, or all records of a data set."""
    try:
        if cfg.study is not None:
            report_study(*jobs_of(cfg, HydraConfig.get()), HydraConfig.get().overrides.task)
        else:
            name, results = HydraConfig.get().runtime.choices["data"], Path(cfg.paths.results)
            records = read_records(results, name)
            table = [record for record in records if record.width == cfg.width]
            tell(table, records, results / name, f"python -m experiments.report data={name}")
    except ZooError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
