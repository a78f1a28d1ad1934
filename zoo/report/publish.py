"""Tables, pages and figures of a study or a data set, written to files."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from zoo.errors import ZooError
from zoo.files import write_atomically
from zoo.report.figures import FIGURES
from zoo.report.figures.style import save
from zoo.report.table import benchmark, brief, common, markdown, print_table, summary
from zoo.runs.identity import is_stale
from zoo.runs.job import Job
from zoo.runs.records import Record, read_records

OF_SWEEP = {"error_against_width", "explained_variance_against_l0"}  # figures that also show other widths
MARK, END = "<!-- table: {} -->", "<!-- end -->"


def report_study(
    table: Sequence[Job], figures: Sequence[Job], name: str, command: str, readme: Path | None = None
) -> list[Path]:
    """Write and print the results of a study; runs without a record are left out, and their number is printed.

    Args:
        table: runs of its table.
        figures: runs that only its figures show.
        name: of the study, and of its folder.
        command: writes the files again.
        readme: a file that quotes tables; None leaves all such files alone.

    Returns:
        The files, the page first.
    """
    rows, others = ([record for job in jobs if (record := job.recorded())] for jobs in (table, figures))
    if lacking := len(table) + len(figures) - len(rows) - len(others):
        print(f"{lacking} runs of this study have no record yet")
    return tell(rows, [*rows, *others], table[0].results / name, command, readme)


def report_data(results: Path, name: str, width: int, command: str, readme: Path | None = None) -> list[Path]:
    """Write and print all records of a data set: a table of one width, figures of all widths.

    Args:
        results: folder of the records.
        name: of the data set, and of its folder.
        width: of the table's rows.
        command: writes the files again.
        readme: see `report_study`.
    """
    records = read_records(results, name)
    table = [record for record in records if record.width == width]
    return tell(table, records, results / name, command, readme)


def tell(
    table: Sequence[Record], sweep: Sequence[Record], folder: Path, command: str, readme: Path | None
) -> list[Path]:
    """Write tables and figures of one data set, print the table, and name the files."""
    files = write_report(table, folder, command, sweep)
    print_table(table)
    if old := stale_rows(table):
        print(f"stale: the code of {len(old)} rows has changed since (stale=rerun runs them again)")
    if readme is not None and folder.name in quoted_in(text := readme.read_text(encoding="utf-8")):
        write_atomically(readme, quoting(text, folder.name, table).encode())
        files.append(readme)
    for file in files:
        print(file)
    return files


def write_report(records: Sequence[Record], folder: Path, command: str, sweep: Sequence[Record] = ()) -> list[Path]:
    """Write benchmark.md, benchmark.csv and every figure for which the records hold something.

    Args:
        records: those of the table, of one data set.
        folder: where the files go.
        command: writes them again.
        sweep: records of other widths, for figures over widths.

    Returns:
        The files, the page first.

    Raises:
        ZooError: there are no records, or not of one data set, or one name stands for several configurations.
    """
    if not records:
        raise ZooError(f"{folder}: no records to report; fit something first, by `zoo run` or `zoo study`")
    if len(names := sorted({record.data for record in (*records, *sweep)})) > 1:
        raise ZooError(
            f"{folder}: records of {', '.join(names)}; a report is about one data set, so write one for each"
        )
    shared = common(records)
    shown_in_table, shown_in_sweep = brief(records, shared), brief(union(records, sweep), shared)
    drawn = {name: draw(shown_in_sweep if name in OF_SWEEP else shown_in_table) for name, draw in FIGURES.items()}
    pictures = {folder / f"{name}.png": figure for name, figure in drawn.items()}
    shown = [path for path, figure in pictures.items() if figure is not None]
    page, table = folder / "benchmark.md", folder / "benchmark.csv"
    text = markdown(records, command, [path.name for path in shown], stale_rows(brief(records, shared))).encode()
    write_atomically(table, benchmark(records).to_csv(index=False, float_format="%.10g", lineterminator="\n").encode())
    for path, figure in pictures.items():
        if figure is None:
            path.unlink(missing_ok=True)  # one of an earlier report would contradict this one
        else:
            save(figure, path)
    write_atomically(page, text)
    return [page, table, *shown]


def stale_rows(records: Sequence[Record]) -> list[str]:
    """Names of the rows whose code has changed since they were recorded."""
    found: dict[tuple[str, str], bool] = {}
    for record in records:
        if (key := (record.hash, record.code)) not in found:
            found[key] = is_stale(record.config, record.code, record.trust)
    return list(dict.fromkeys(record.name for record in records if found[record.hash, record.code]))


def union(records: Sequence[Record], sweep: Sequence[Record]) -> list[Record]:
    """All runs of both, each once."""
    return list({(record.name, record.hash, record.seed): record for record in (*records, *sweep)}.values())


def quoted_in(text: str) -> list[str]:
    """Names of the studies whose tables a text quotes.

    Raises:
        ZooError: a table's mark has no end.
    """
    marks = re.findall(r"<!-- table: (\w+) -->\n(.*?)(?:<!-- end -->|(?=<!-- table: )|\Z)", text, flags=re.S)
    if text.count(END) != len(marks):
        raise ZooError(
            f"a table that is quoted stands between {MARK.format('<study>')} and {END}; one of these is missing"
        )
    return [name for name, _ in marks]


def quoting(text: str, name: str, records: Sequence[Record]) -> str:
    """`text` with the summary of the records between its marks.

    Raises:
        ZooError: the text does not quote this study.
    """
    if name not in quoted_in(text):
        raise ZooError(f"no table of {name} is quoted: the mark {MARK.format(name)} is missing")
    mark = re.escape(MARK.format(name))
    return re.sub(rf"({mark}\n).*?(?={END})", lambda found: f"{found[1]}{summary(records)}\n", text, flags=re.S)
