"""Tables, pages and figures of a study or a data set, written to files or compared with them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from zoo.errors import ZooError
from zoo.files import write_atomically
from zoo.report.figures import FIGURES
from zoo.report.figures.style import content, content_of, save
from zoo.report.statistics import comparable
from zoo.report.table import RERUN, STALE, benchmark, brief, common, excerpt, markdown, print_table
from zoo.runs.identity import is_stale
from zoo.runs.job import Job
from zoo.runs.records import Record, read_records

# figures that also show other widths
OF_SWEEP = {"error_against_width", "explained_variance_against_l0", "scores_against_width", "document_maps"}
PAGE, TABLE = "benchmark.md", "benchmark.csv"
MARK, END = "<!-- table: {} | <rows> | <metrics> -->", "<!-- end -->"
MARKS = re.compile(r"<!-- (?:table: (.*?)|end) -->")
Contents = dict[Path, "bytes | Figure | None"]  # of files; None for a file that must not exist


def report_study(
    table: Sequence[Job], figures: Sequence[Job], name: str, command: str, pages: Sequence[Path] = ()
) -> list[Path]:
    """Write and print the results of a study; runs without a record are left out, and their number is printed.

    Args:
        table: runs of its table.
        figures: runs that only its figures show.
        name: of the study, and of its folder.
        command: writes the files again: "zoo report study=digits paths.results=results".
        pages: files that quote tables; no other such file is read or changed.

    Returns:
        The files, the page first.

    Raises:
        ZooError: the study has no runs, or see `write_report` and `quoting`.
    """
    rows, others = recorded(table, figures, name)
    if lacking := len(table) + len(figures) - len(rows) - len(others):
        print(f"{lacking} runs of this study have no record yet")
    first, rerun = [*table, *figures][0], rerun_of(name, command)
    return publish(rows, [*rows, *others], first.results / name, command, pages, rerun, first.trust)


def check_study(
    table: Sequence[Job], figures: Sequence[Job], name: str, command: str, pages: Sequence[Path] = ()
) -> list[Path]:
    """The files of a study that `report_study` would change, as far as they depend on the records.

    Tables, the page and what other pages quote are compared byte for byte, apart from the list of stale rows, which
    follows from the code. A figure is compared by its content, see `zoo.report.figures.style.content`. Nothing is
    written.

    The arguments and errors are those of `report_study`.
    """
    rows, others = recorded(table, figures, name)
    folder = [*table, *figures][0].results / name
    page = folder / PAGE
    stale = stale_in(page.read_text(encoding="utf-8")) if page.exists() else []
    found = contents(rows, folder, command, [*rows, *others], rerun_of(name, command), stale)
    changed = [path for path, expected in found.items() if not is_as(path, expected)]
    return changed + [page for page, text in quoting_pages(pages, name, rows).items() if not is_as(page, text)]


def reported_studies(results: Path) -> list[str]:
    """Names of the studies whose pages lie in a folder."""
    return sorted(page.parent.name for page in results.glob(f"*/{PAGE}"))


def recorded(table: Sequence[Job], figures: Sequence[Job], name: str) -> tuple[list[Record], list[Record]]:
    """The records of a study's table, and of those runs that only its figures show; ZooError if it has no runs."""
    if not (table or figures):
        raise ZooError(f"study={name}: no runs; list sweeps under `table` in its yaml")
    rows, others = ([record for job in jobs if (record := job.recorded())] for jobs in (table, figures))
    return rows, others


def rerun_of(name: str, command: str) -> str:
    """The command that runs the stale rows of a study again, given the one that reports it."""
    settings = [setting for setting in shlex.split(command)[2:] if setting != f"study={name}"]
    return shlex.join(["zoo", "study", name, *settings, RERUN])


def is_as(path: Path, expected: bytes | Figure | None) -> bool:
    """Whether a file holds what is expected of it; of a figure, whether it shows the same."""
    if expected is None or not path.exists():
        return expected is None and not path.exists()
    return path.read_bytes() == expected if isinstance(expected, bytes) else content_of(path) == content(expected)


def report_data(results: Path, name: str, width: int, command: str, trust: Sequence[str] = ()) -> list[Path]:
    """Write and print all records of a data set: a table of one width, figures of all widths.

    Args:
        results: folder of the records.
        name: of the data set; its folder is data/<name>, as a study may have the same name.
        width: of the table's rows.
        command: writes the files again: "zoo report data=mnist".
        trust: see `publish`.
    """
    records = read_records(results, name)
    table = [record for record in records if record.width == width]
    return publish(table, records, results / "data" / name, command, trust=trust)


def publish(
    table: Sequence[Record],
    sweep: Sequence[Record],
    folder: Path,
    command: str,
    pages: Sequence[Path] = (),
    rerun: str = RERUN,
    trust: Sequence[str] = (),
) -> list[Path]:
    """Write tables and figures of one data set; print the table, the number of stale rows, and the files' paths.

    The arguments are those of `write_report` and, for `pages`, `report_study`.
    """
    files = write_report(table, folder, command, sweep, rerun, trust)
    print_table(table)
    if old := stale_rows(table, trust):
        print(f"stale rows: {len(old)}; rerun: {rerun}")
    if packages := sorted({package for record in table for package in record.trust} - set(trust)):
        print(f"whether rows with parts of {', '.join(packages)} are stale is only known with trust={packages[0]}")
    for page, text in quoting_pages(pages, folder.name, table).items():
        write_atomically(page, text)
        files.append(page)
    for file in files:
        print(file)
    return files


def write_report(
    records: Sequence[Record],
    folder: Path,
    command: str,
    sweep: Sequence[Record] = (),
    rerun: str = RERUN,
    trust: Sequence[str] = (),
) -> list[Path]:
    """Write benchmark.md, benchmark.csv and every figure for which the records hold data.

    Args:
        records: those of the table, of one data set.
        folder: of the files.
        command: writes them again.
        sweep: records of other widths, for figures over widths.
        rerun: the command, or the setting, that runs stale rows again.
        trust: packages whose code may be read to find out whether rows are stale.

    Returns:
        The files, the page first.

    Raises:
        ZooError: there are no records, or not of one data set, or one name has several configurations.
    """
    found = contents(records, folder, command, sweep, rerun, trust=trust)
    for path, expected in reversed(found.items()):  # the page, which names all others, comes last
        if expected is None:
            path.unlink(missing_ok=True)  # one of an earlier report would contradict this one
        elif isinstance(expected, bytes):
            write_atomically(path, expected)
        else:
            save(expected, path)
    return [path for path, expected in found.items() if expected is not None]


def contents(
    records: Sequence[Record],
    folder: Path,
    command: str,
    sweep: Sequence[Record] = (),
    rerun: str = RERUN,
    stale: Sequence[str] | None = None,
    trust: Sequence[str] = (),
) -> Contents:
    """What the files of a report hold, the page first.

    `stale` names the stale rows, as in the table; None stands for those whose code has changed. The other arguments and
    the errors are those of `write_report`.
    """
    if not records:
        raise ZooError(f"{folder}: no records to report; fit something first, by `zoo run` or `zoo study`")
    if len(names := sorted({record.data for record in (*records, *sweep)})) > 1:
        raise ZooError(
            f"{folder}: records of {', '.join(names)}; a report is about one data set, so write one for each"
        )
    records, both = comparable(records), comparable(union(records, sweep))
    shared = common(records)
    everywhere = [change for change in shared if change in common(both)]
    shown_in_table, shown_in_sweep = brief(records, shared), brief(both, everywhere)
    drawn = {name: draw(shown_in_sweep if name in OF_SWEEP else shown_in_table) for name, draw in FIGURES.items()}
    pictures = {folder / f"{name}.png": figure for name, figure in drawn.items()}
    shown = [path.name for path, figure in pictures.items() if figure is not None]
    old = stale_rows(brief(records, shared), trust) if stale is None else stale
    table = benchmark(records).to_csv(index=False, float_format="%.10g", lineterminator="\n")
    texts = {PAGE: markdown(records, command, shown, old, rerun), TABLE: table}
    return {folder / name: text.encode() for name, text in texts.items()} | pictures


def stale_rows(records: Sequence[Record], trust: Sequence[str] = ()) -> list[str]:
    """Names of the rows whose code has changed since they were recorded."""
    found: dict[tuple[str, str], bool] = {}
    for record in records:
        if (key := (record.hash, record.code)) not in found:
            found[key] = is_stale(record, trust)
    return list(dict.fromkeys(record.name for record in records if found[record.hash, record.code]))


def stale_in(page: str) -> list[str]:
    """Names of the rows that a page lists as stale."""
    return re.findall(r"^- (.*)$", page.partition(STALE)[2].partition("\n\nWritten from")[0], re.M)


def union(records: Sequence[Record], sweep: Sequence[Record]) -> list[Record]:
    """All runs of both, each once."""
    return list({(record.name, record.hash, record.seed): record for record in (*records, *sweep)}.values())


@dataclass(frozen=True)
class Quoted:
    """What a mark says about the quoted table below it.

    Attributes:
        study: name of the study.
        rows: names of its rows.
        metrics: names of its columns.
    """

    study: str
    rows: tuple[str, ...]
    metrics: tuple[str, ...]


def quotes(text: str) -> list[Quoted]:
    """What the marks of a text's quoted tables say.

    Raises:
        ZooError: a mark has no end mark after it, or an end mark no mark before it, or a mark is incomplete.
    """
    marks = [found[1] for found in MARKS.finditer(text)]
    starts, ends = marks[::2], marks[1::2]
    if len(starts) != len(ends) or None in starts or any(ends):
        raise ZooError(
            f"a quoted table begins with {MARK.format('<study>')} and ends with {END}, in turn; one of them is missing"
        )
    return [read_mark(start) for start in starts]


def read_mark(mark: str) -> Quoted:
    """A quoted table from the text of its mark, "mnist | pca, vae | mse, ssim"."""
    study, *lists = (part.strip() for part in mark.split("|"))
    names = [tuple(name.strip() for name in part.split(",")) for part in lists]
    if len(names) != 2:
        raise ZooError(f"the mark of a quoted table of {study} is incomplete; write {MARK.format(study)}")
    return Quoted(study, *names)


def quoted_in(text: str) -> list[str]:
    """Names of the studies whose tables a text quotes; errors as of `quotes`."""
    return [quoted.study for quoted in quotes(text)]


def quoting_pages(pages: Sequence[Path], name: str, records: Sequence[Record]) -> dict[Path, bytes]:
    """Those pages that quote tables of the study `name`, as they are with tables made from the records."""
    texts = {page: page.read_text(encoding="utf-8") for page in pages}
    return {page: quoting(text, name, records).encode() for page, text in texts.items() if name in quoted_in(text)}


def quoting(text: str, name: str, records: Sequence[Record]) -> str:
    """`text` with its quoted tables of the study `name` made from the records.

    Raises:
        ZooError: the text does not quote this study, a mark is missing or incomplete, or see `excerpt`.
    """
    if name not in quoted_in(text):
        raise ZooError(f"no table of {name} is quoted: the mark {MARK.format(name)} is missing")

    def replaced(found: re.Match[str]) -> str:
        quoted = read_mark(found[1])
        table = f"{excerpt(records, quoted.rows, quoted.metrics)}\n" if quoted.study == name else found[2]
        return f"<!-- table: {found[1]} -->\n{table}{END}"

    return re.sub(f"<!-- table: (.*?) -->\n(.*?){re.escape(END)}", replaced, text, flags=re.S)
