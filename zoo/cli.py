"""The command `zoo`: fit, study, evaluate, report, list, use models.

`python -m experiments.run` and the other experiments call it, too.
"""

from __future__ import annotations

import _thread
import argparse
import errno
import io
import os
import shlex
import signal
import sys
import textwrap
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from zoo.errors import ZooError, nearest
from zoo.options import folders, is_axis, names, read_options, shipped

if TYPE_CHECKING:
    from zoo.runs.engines import Engine
    from zoo.runs.job import Job
    from zoo.runs.records import Record
    from zoo.runs.search import Search

MISTAKE, FAILED, INTERRUPTED, UNREAD, TERMINATED = 2, 1, 130, 141, 143  # exit statuses
IMPORTING = 0.05  # seconds until a signal that came during an import is noticed again
RESUMES = ("run", "study", "evaluate", "claims")  # commands that keep what is finished
NO_ROOM = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)  # a full disk
PAGE = "page"  # what `zoo report` is asked for by this word
TRUST = "trust="
OWN = "paths.results=results"  # the repository's own results
QUOTING = ("README.md", "docs/words-and-documents.md")  # pages of the repository that quote tables of results
ENGINE = ("engine=", "engine.", "processes=")  # beginnings of settings that say where runs are computed
SEARCH = ("search=", "search.")  # and of those that say which runs a sweep is made of
PLACES = ("paths.", "trust=", "hydra.searchpath=")

RUN = """Fit a method, measure it and write its record.

variant= chooses a method; every axis and every value can be overridden. A run
that has a record is skipped; metrics that the record lacks are measured from
the saved model.

  zoo run variant=vae data=mnist               one run
  zoo run variant=vae network=conv width=16    other options and values
  zoo run variant=deep_ae budget.epochs=50     longer; also budget.batch_size=
  zoo run -m variant='glob(*)' seed=0,1,2      a sweep: every combination
  zoo run -m optimizer.lr=0.01,0.04 search=asha  stop bad fits of a sweep early
  zoo run variant=vae --cfg                    print the configuration only
  zoo run data=folder data.source.path=photos  your own pictures"""
STUDY = """Run a grid of runs, then write its tables and figures.

Runs that have a record are skipped, so an interrupted study resumes.
Overrides apply to every run. Without a name, the studies are listed.

  zoo study digits                             a tour on scikit-learn's digits
  zoo study mnist seed=0 processes=1           one seed, one process
  zoo study digits stale=rerun                 repeat runs made by older code"""
EVALUATE = """Measure metrics of saved models, without fitting.

run= is a record or a folder of records. Missing metrics are added to each
record; none is removed.

  zoo evaluate run=outputs/records/digits      every metric but the slowest
  zoo evaluate run=outputs evaluation=bound    likelihoods, 5,000 samples
  zoo evaluate run=outputs evaluation=stability  codes compared across seeds
  zoo evaluate run=outputs evaluation=throughput again=true
                                               time all models in turn"""
REPORT = """Write tables and figures from the records.

With paths.results=results they are those of the repository, and its README is
updated where it quotes them. --check writes nothing: it lists which of these
files differ from the records, and ends with exit status 1 if any does.

  zoo report study=digits                      a study
  zoo report data=mnist                        a data set, at its own width
  zoo report study=digits paths.results=results
  zoo report page paths.results=results        the page, one HTML file: models,
                                               training, tables and claims
  zoo report --check study=digits              a study of the repository
  zoo report --check                           all of them"""
ADVISE = """Advise which method and width to use for some data.

Methods are fitted within the given minutes and tested on held-out samples, for
reconstruction, compression, labels, sampling and outliers. Ctrl-C ends with
advice from the finished fits. The page is outputs/<data>/advice/README.md.

  zoo advise data=digits minutes=3
  zoo advise data=folder data.source.path=photos minutes=10"""
SHOW = """Draw pictures of what a model does, into one folder.

Reconstructions, the plane of codes, what each unit does, interpolation, new
samples, empty regions of the code, and the atoms of a linear decoder. It uses
the data of the model's run, or those of data=; without data, fewer pictures.

  zoo show outputs/models/digits/vae/<hash>-s0.safetensors   as zoo run says
  zoo show run=outputs/records/digits/vae/<hash>-s0.json --out pictures
  zoo show model.safetensors data=table data.source.path=wine.csv"""
ENCODE = """Write the codes of samples.

Samples are a .npy or .npz array, a .csv or .parquet table, a picture or a
folder of pictures, which are resized to the model's size; data= takes the test
samples of a data set. Without either, the test samples of the model's data.

  zoo encode model.safetensors photos --out codes.csv
  zoo encode model.safetensors table.csv --out codes.npy"""
OUTLIERS = """Rank samples, the most unusual first.

The score is in nats; lower is more unusual. It is a bound on the likelihood for
models with a posterior, else the reconstruction error in nats. Samples are
given as for zoo encode.

  zoo outliers model.safetensors photos --top 10
  zoo outliers model.safetensors table.csv --out scores.csv"""
EXPORT = """Write encoder and decoder as files that run without the zoo.

The scaling is included: inputs and outputs have your units and shape, in any
number. Both files are compared with the model before they are kept.
ONNX needs the extra: pip install 'bottleneck-zoo[onnx]'

  zoo export model.safetensors folder                  encoder and decoder.onnx
  zoo export model.safetensors folder --format torch   for torch.export.load"""
CARD = """Write a model folder to share: weights, configuration, model card.

The card describes the model, its data, its metrics with intervals and its
limitations. zoo.load reads the folder. --push uploads it to Hugging Face
(pip install 'bottleneck-zoo[hub]'; hf auth login).

  zoo card outputs/models/digits/vae/<hash>-s0.safetensors folder
  zoo card run=outputs/records/digits/vae/<hash>-s0.json folder
  zoo card model.safetensors folder --push user/name"""
CLAIMS = """Test what courses say about bottlenecks: an experiment and a verdict each.

Without a name, all claims are tested, in a quarter of an hour on two cores.
Numbers, figures and a page are written to outputs/claims/, and with
paths.results=results to the repository's own results/claims/. The claims belong
to the checkout of the repository, not to the installed package.

  zoo claims                                   all, on MNIST and others
  zoo claims linear denoising                  two of them
  zoo claims data=digits                       reduced, without a download"""
VARIANTS = """List the methods, or those of one family.

  zoo variants
  zoo variants sparse"""
LOGO = "The bottleneck zoo: PCA, autoencoders and VAEs, fitted and compared by the same code."


@dataclass(frozen=True)
class Command:
    """A command of the command line.

    Attributes:
        call: runs it and returns the exit status.
        help: its help page, the first line of which is its summary.
        takes: name of its positional arguments in the help page.
    """

    call: Callable[[argparse.Namespace], int]
    help: str
    takes: str


class Terminated(BaseException):
    """SIGTERM, as an exception that no library catches."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and leave with its exit status.

    0, 1 where runs failed, 2 for a mistake, 130 after Ctrl-C, 141 if nothing reads its output, 143 after SIGTERM.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that lacks a character shows another one
    parser = whole_parser()
    try:
        import argcomplete
    except ImportError:
        pass
    else:
        argcomplete.autocomplete(parser, always_complete_options=False)
    given = list(sys.argv[1:] if arguments is None else arguments)
    warnings.showwarning = told  # type: ignore[assignment]
    with noticing_signals() as came:
        try:
            status = dispatch(parser, given)
        except ZooError as error:
            status = refused(str(error))
        except (KeyboardInterrupt, Terminated):
            status = ended(came, given)
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python writes the rest at its end
            status = UNREAD
        except Exception as error:
            if too_large(error):
                status = refused(f"there is not enough memory ({str(error).splitlines()[0]}); choose smaller sizes")
            elif isinstance(error, OSError) and error.errno is not None:  # no bug, which has no number of the system
                status = refused(in_words(error))
            else:
                raise
    sys.exit(status)


@contextmanager
def noticing_signals() -> Iterator[list[int]]:
    """Inside, Ctrl-C raises KeyboardInterrupt and SIGTERM `Terminated`; yields the signals received.

    A signal that comes while a module is imported is raised after it, as some packages would lose the exception.
    """
    came: list[int] = []
    later: list[threading.Timer] = []

    def raised(number: int, frame: FrameType | None) -> None:
        came.append(number)
        threading.excepthook = lambda _: None  # of threads that lack what the main thread has ended
        if importing(frame):
            later.append(threading.Timer(IMPORTING, _thread.interrupt_main, (number,)))
            later[-1].start()
        else:
            raise KeyboardInterrupt if number == signal.SIGINT else Terminated

    if threading.current_thread() is not threading.main_thread():  # where signals never arrive
        yield came
        return
    hook = threading.excepthook
    before = {number: signal.signal(number, raised) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield came
    finally:
        threading.excepthook = hook
        for timer in later:
            timer.cancel()
            timer.join()
        for number, handler in before.items():
            signal.signal(number, handler)


def importing(frame: FrameType | None) -> bool:
    """Whether a command imports a module in this frame."""
    while frame is not None and frame.f_code is not dispatch.__code__:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def refused(message: str) -> int:
    """Print a mistake in one line."""
    print(f"error: {' '.join(message.split())}", file=sys.stderr)
    return MISTAKE


def too_large(error: Exception) -> bool:
    """Whether an array or a tensor does not fit into memory, for which PyTorch has no exception of its own."""
    said = ("not enough memory", "can't allocate memory", "Storage size calculation overflowed")
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and any(s in str(error) for s in said))


def ended(came: Sequence[int], given: Sequence[str]) -> int:
    """Print in one line that a signal ended the command."""
    terminated = signal.SIGTERM in came
    what = "terminated" if terminated else "interrupted"
    kept = ": finished runs are kept; the same command resumes" if given and given[0] in RESUMES else ""
    print(f"\n{what}{kept}", file=sys.stderr)
    return TERMINATED if terminated else INTERRUPTED


def told(message: Warning | str, category: type[Warning], *_: object) -> None:
    """Print a warning without the line of code that it comes from."""
    print(f"warning: {' '.join(str(message).split())}", file=sys.stderr)


def dispatch(parser: argparse.ArgumentParser, given: list[str]) -> int:
    """Parse the arguments of a command and call it."""
    if not given or given[0] in ("-h", "--help", "--version"):
        parser.parse_args(given or ["--help"])
    if given[0] not in COMMANDS:
        raise ZooError(f"zoo {given[0]}: no such command{nearest(given[0], COMMANDS)}")
    command = COMMANDS[given[0]]
    return command.call(own_parser(given[0], command).parse_intermixed_args(given[1:]))


def whole_parser() -> argparse.ArgumentParser:
    """The parser of `zoo`, with all commands: its help page, and what shells complete."""
    parser = argparse.ArgumentParser("zoo", description=LOGO, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--version", action=Version, help="print the version")
    commands = parser.add_subparsers(metavar="command", title="commands (zoo <command> --help describes one)")
    for name, command in COMMANDS.items():
        with_arguments(commands.add_parser(name, help=command.help.splitlines()[0].rstrip(".")), name, command)
    return parser


def own_parser(name: str, command: Command) -> argparse.ArgumentParser:
    """The parser of one command."""
    parser = argparse.ArgumentParser(
        f"zoo {name}",
        description=command.help,
        epilog=choices(name),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    return with_arguments(parser, name, command)


def with_arguments(parser: argparse.ArgumentParser, name: str, command: Command) -> argparse.ArgumentParser:
    """Add a command's arguments."""
    positional = parser.add_argument("overrides", nargs="*", metavar=command.takes, help="see above")
    if name not in USES:  # whose arguments are files, which shells complete themselves
        setattr(positional, "completer", partial(completions, command=name))  # noqa: B010 (argcomplete's way)
    if name in ("run", "study", "report"):
        parser.add_argument("--config-dir", type=Path, metavar="DIR", help="more option files: studies, variants")
    if name == "report":
        parser.add_argument("--check", action="store_true", help="list committed files that differ from the records")
    if name in ("run", "study", "evaluate"):
        parser.add_argument("--cfg", action="store_true", help="print the whole configuration and leave")
    for option, default, about in USES.get(name, ()):
        parser.add_argument(option, default=default, type=type(default), help=about)
    parser.set_defaults(multirun=False)
    if name == "run":
        parser.add_argument("-m", "--multirun", action="store_true", help="run every combination of several values")
    return parser


class Version(argparse.Action):
    """`--version`, looked up only when needed."""

    def __init__(self, option_strings: Sequence[str], dest: str, help: str | None = None) -> None:
        super().__init__(option_strings, dest, nargs=0, help=help)

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        """Print it and leave."""
        from importlib.metadata import PackageNotFoundError, version

        try:
            print(f"zoo {version('bottleneck-zoo')}")
        except PackageNotFoundError:
            print("zoo (not installed)")
        parser.exit()


def run(arguments: argparse.Namespace) -> int:
    """One run, a sweep, or a study."""
    from zoo.runs.compose import as_yaml, composed, composing
    from zoo.runs.engines import engine_of
    from zoo.runs.job import Job

    with composing(arguments.overrides, arguments.config_dir) as given:
        if arguments.multirun:
            if arguments.cfg:
                raise ZooError("--cfg shows one configuration: leave out -m")
            return sweep(given)
        cfg = composed("config", given)
        if arguments.cfg:
            print(as_yaml(cfg), end="")
            return 0
        if (search := cfg.hydra.runtime.choices["search"]) != "none" and cfg.study is None:
            raise ZooError(f"search={search}: a search is of a sweep or a study; give several values, and zoo run -m")
        if cfg.study is not None:
            from zoo.runs.grid import jobs_of
            from zoo.runs.search import search_of

            table, figures = jobs_of(cfg)
            name = str(cfg.hydra.runtime.choices["study"])
            return run_study(name, [*arguments.overrides], table, figures, engine_of(cfg), search_of(cfg))
        job, engine = Job.of(cfg), engine_of(cfg)
    return run_job(job, engine)


def run_job(job: Job, engine: Engine) -> int:
    """One run."""
    from zoo.runs.engines import Local
    from zoo.runs.study import sweep_leftovers

    sweep_leftovers([job])
    record = job.existing()
    if record is not None and not job.due(record):
        print(f"{job.name} on {job.data}, seed {job.seed}: done before (force=true runs it again)")
        if job.is_stale(record):
            print("its code has changed since (stale=rerun runs it again)")
    else:
        print(f"{job.name} on {job.data}, seed {job.seed}", flush=True)
        job.check_places()
        record = run_here(job) if isinstance(engine, Local) else run_there(job, engine)
    from zoo.runs.single import describe, failed  # torch takes a second to import

    describe(job, record)
    from zoo.use.pictured import picture_of_run

    if (path := picture_of_run(record, job.model_path)) is not None:
        print(f"picture {path} (above: test samples, below: their reconstructions)")
    return FAILED if failed(record) else 0


def run_here(job: Job) -> Record:
    """One run in this process, after any other process that computes it."""
    from zoo.files import locked
    from zoo.runs.single import run_one

    with locked(job.lock, wait=False) as held:
        if held:
            return run_one(job)
    print("another process computes this run: waiting for it", flush=True)
    with locked(job.lock):
        return run_one(job)


def run_there(job: Job, engine: Engine) -> Record:
    """One run on a worker of an engine."""
    from zoo.runs.study import run_jobs

    before = job.recorded()
    failures = run_jobs([job], engine)
    record = job.recorded()
    if record is None or (failures and record == before):
        raise ZooError(failures[0])
    return record


def sweep(overrides: Sequence[str]) -> int:
    """Every combination of several values; then one table."""
    from zoo.runs.compose import composed
    from zoo.runs.engines import engine_of
    from zoo.runs.search import search_of
    from zoo.runs.study import run_jobs

    if named := [override for override in overrides if override.startswith("study=")]:
        raise ZooError(f"{named[0]}: a study is a grid of runs already; leave out -m")
    cfg = composed("config", for_all_runs(overrides))
    search, engine = search_of(cfg), engine_of(cfg)
    jobs = search.jobs(overrides)
    failures = run_jobs(jobs, engine, partial(import_module, "zoo.report.table"))
    from zoo.report.table import print_tables

    tell(failures, len(jobs))
    if records := [record for job in jobs if (record := job.recorded()) is not None]:
        print_tables(records)
        print(f"records below {jobs[0].results / 'records'}")
    search.conclude(jobs)
    return FAILED if failures else 0


def for_all_runs(overrides: Sequence[str]) -> list[str]:
    """Those overrides of a sweep that say where runs are computed, which of them, and where files lie.

    Raises:
        ZooError: one has several values.
    """
    from zoo.runs.compose import parsed_overrides

    found = [o for o in overrides if o.lstrip("+").startswith((*ENGINE, *SEARCH, *PLACES))]
    if several := [override.input_line for override in parsed_overrides(found) if override.is_sweep_override()]:
        raise ZooError(f"{several[0]}: holds for all runs of a sweep; give one value")
    return found


def run_study(
    name: str,
    overrides: Sequence[str],
    table: Sequence[Job],
    figures: Sequence[Job],
    engine: Engine,
    search: Search,
) -> int:
    """The missing runs of a study, then its tables and figures."""
    from zoo.runs.study import run_jobs

    done: list[Job] = []
    failures: list[str] = []
    for jobs in search.rounds([*table, *figures]):
        failures += run_jobs(jobs, engine, partial(import_module, "zoo.report.publish"))
        done += jobs
    tell(failures, len(done))
    try:
        report_study(name, overrides, table, figures)
    except (ZooError, OSError) as error:
        if not failures:
            raise
        print(f"error: {in_words(error)}", file=sys.stderr)
    search.conclude(done)
    return FAILED if failures else 0


def in_words(error: Exception) -> str:
    """What an error says, and of which file if the system names one."""
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    if isinstance(error, OSError) and error.errno is not None:
        return f"{error.strerror}; make room" if error.errno in NO_ROOM else f"cannot read or write: {error.strerror}"
    return str(error)


def tell(failures: Sequence[str], runs: int) -> None:
    """Print every failure."""
    if failures:
        print(f"error: {len(failures)} of {runs} runs failed:", *failures, sep="\n  ", file=sys.stderr)


def study(arguments: argparse.Namespace) -> int:
    """A study by name, or the list of studies."""
    if not arguments.overrides:
        found = studies(arguments.config_dir)
        width = 2 + max(len(name) for name, _ in found)
        for name, about in found:
            print(f"{name:<{width}}{about}")
        return 0
    name, *others = arguments.overrides
    if "=" in name:
        raise ZooError(f"zoo study {name}: name the study first; zoo study alone lists them")
    if again := [override for override in others if override.startswith("study=")]:
        raise ZooError(f"{again[0]}: the study is {name}; one command runs one study")
    arguments.overrides = [f"study={name}", *others]
    return run(arguments)


def studies(folder: Path | None) -> list[tuple[str, str]]:
    """Every study with its description."""
    places = [*folders(), *([folder] if folder is not None else [])]
    paths = sorted(path for place in places for path in (place / "study").glob("*.yaml"))
    return [(path.stem, str(read_options(path).get("about", ""))) for path in paths]


def evaluate(arguments: argparse.Namespace) -> int:
    """Metrics of saved models."""
    from zoo.files import check_writable
    from zoo.runs.compose import as_yaml, composed, composing, required
    from zoo.runs.rescore import Rescoring, find_records, rescore

    with composing(arguments.overrides) as given:
        cfg = composed("evaluate", given)
        if arguments.cfg:
            print(as_yaml(cfg), end="")
            return 0
        asked, where = Rescoring.of(cfg), required(cfg, "run", "a record's file, or a folder of records")
    failures, paths = [], find_records(Path(where))
    for folder in {path.parent for path in paths}:
        check_writable("run", folder)
    for path in paths:
        try:
            record, measured = rescore(path, asked)
        except (ZooError, OSError) as error:
            failures.append(in_words(error))
            continue
        from zoo.runs.single import show_metrics

        print(f"{path}: {record.name}, {len(measured)} metrics" if measured else f"{path}: nothing lacks")
        show_metrics(record, measured)
    if failures:
        print(f"error: {len(failures)} of {len(paths)} records not measured:", *failures, sep="\n  ", file=sys.stderr)
    return FAILED if failures else 0


def report(arguments: argparse.Namespace) -> int:
    """Tables and figures."""
    if arguments.check:
        return check(arguments)
    if PAGE in arguments.overrides:
        return page(arguments)
    from zoo.runs.compose import composed, composing
    from zoo.runs.grid import jobs_of
    from zoo.runs.job import Job

    with composing(arguments.overrides, arguments.config_dir) as given:
        cfg = composed("config", given)
        if cfg.study is not None:
            table, figures = jobs_of(cfg)
            report_study(str(cfg.hydra.runtime.choices["study"]), arguments.overrides, table, figures)
            return 0
        job = Job.of(cfg)
    from zoo.report.publish import report_data

    if "path" in job.axes["data"]["source"] and job.path is None:
        raise ZooError(f"data={job.data}: name it by data.source.path=")
    overrides = arguments.overrides
    report_data(job.results, job.data, job.width, written(overrides), job.trust)
    return 0


def page(arguments: argparse.Namespace) -> int:
    """The page that shows models, training, tables and claims in a browser."""
    from zoo.report.page.write import write_page
    from zoo.runs.compose import composed, composing
    from zoo.runs.grid import jobs_of
    from zoo.runs.job import Job

    overrides = [override for override in arguments.overrides if override != PAGE]

    def study(name: str) -> tuple[list[Job], list[Job]]:
        with composing([f"study={name}", *overrides], arguments.config_dir) as given:
            return jobs_of(composed("config", given))

    with composing([*overrides, "data=digits"], arguments.config_dir) as given:
        digits = Job.of(composed("config", given))
    print(write_page(study, digits.make("data"), digits.results))
    return 0


def check(arguments: argparse.Namespace) -> int:
    """Which files of the repository's own results differ from the records."""
    from zoo.files import in_checkout
    from zoo.report.publish import check_study, reported_studies
    from zoo.runs.compose import composed, composing
    from zoo.runs.grid import jobs_of

    if not in_checkout():
        raise ZooError("zoo report --check: the current folder is no checkout of the zoo; its results are in results/")
    asked = [override for override in arguments.overrides if override != OWN]
    if unknown := [override for override in asked if not override.startswith("study=")]:
        raise ZooError(f"{unknown[0]}: zoo report --check takes study=, or nothing for all studies of results/")
    changed: list[Path] = []
    for chosen in asked or [f"study={name}" for name in reported_studies(Path("results"))]:
        overrides = [chosen, OWN]
        with composing(overrides, arguments.config_dir) as given:
            table, figures = jobs_of(composed("config", given))
        found = check_study(table, figures, chosen.partition("=")[2], written(overrides), quoting(overrides))
        for path in found:
            print(f"{path}: differs from the records; written by: {written(overrides)}", flush=True)
        changed += found
    return FAILED if changed else 0


def claims(arguments: argparse.Namespace) -> int:
    """Tests of claims, which are a study in code of the checkout."""
    from zoo.files import in_checkout

    if not in_checkout():
        raise ZooError(
            "zoo claims: the current folder is no checkout of the zoo; the claims are in its experiments/claims/"
        )
    try:
        tests = import_module("experiments.claims.__main__")
    except ModuleNotFoundError as error:
        if error.name != "experiments":
            raise
        raise ZooError(
            "zoo claims: the zoo is not installed from this checkout; run python -m experiments.claims"
        ) from error
    tests.run_claims(arguments.overrides)
    return 0


def advise(arguments: argparse.Namespace) -> int:
    """Advice for some data, and its page."""
    from zoo.advice.asked import advice_for

    advice, folder = advice_for(arguments.overrides)
    print("", advice, "", sep="\n", flush=True)
    print(*advice.save(folder), sep="\n")
    return 0


def show(arguments: argparse.Namespace) -> int:
    """Pictures of a model."""
    from zoo.use.found import find, own_units
    from zoo.use.show import beside, show

    found = find(arguments.overrides)
    folder = arguments.out or beside(found.place)
    if found.data is None:
        lines = show(found.model, folder, name=found.name)
    else:
        x, labels = own_units(found.data.test, found.data)
        classes = found.data.classes
        lines = show(found.model, folder, x, labels if classes else None, classes, found.name)
    print(*lines, *([found.about] if found.about else []), sep="\n")
    return 0


def encode(arguments: argparse.Namespace) -> int:
    """Codes of samples."""
    from zoo.use.found import samples_of
    from zoo.use.ranking import write_codes

    model, x, names = samples_of(arguments.overrides)
    codes = model.encode(x)
    write_codes(Path(arguments.out), codes, names)
    print(f"{arguments.out}: {len(codes)} codes of {model.width} units")
    return 0


def outliers(arguments: argparse.Namespace) -> int:
    """Samples, the most unusual first."""
    from zoo.use.found import samples_of
    from zoo.use.ranking import outliers, write_ranking

    ranked = outliers(*samples_of(arguments.overrides))
    for rank, (name, score) in enumerate(ranked[: max(arguments.top, 0)], 1):
        print(f"{rank:>5} {score:>12.6g}  {name}")
    if arguments.out:
        write_ranking(Path(arguments.out), ranked)
        print(f"{arguments.out}: {len(ranked)} samples")
    return 0


def export(arguments: argparse.Namespace) -> int:
    """Encoder and decoder as files."""
    from zoo.use.export import export
    from zoo.use.found import find

    words, folder = with_folder(arguments.overrides, "export")
    print(*export(find(words, needs_data=False).model, folder, arguments.format), sep="\n")
    return 0


def card(arguments: argparse.Namespace) -> int:
    """A model folder, and its copy on the hub."""
    from zoo.use.card import about, card, push_to_hub
    from zoo.use.found import find

    words, folder = with_folder(arguments.overrides, "card")
    found = find(words)
    said = about(found)
    address = push_to_hub(found.model, arguments.push, **said) if arguments.push else ""
    print(*card(found.model, folder, **said), *([address] if address else []), sep="\n")
    return 0


def with_folder(words: Sequence[str], command: str) -> tuple[list[str], str]:
    """The words of a command without its folder, and the folder: the last word that is not a setting."""
    places = [word for word in words if "=" not in word]
    if len(places) + any(word.startswith("run=") for word in words) != 2:
        raise ZooError(f"zoo {command}: give a model and a folder, zoo {command} model.safetensors folder")
    return [word for word in words if word is not places[-1]], places[-1]


def report_study(
    name: str,
    overrides: Sequence[str],
    table: Sequence[Job],
    figures: Sequence[Job],
) -> None:
    """The tables and figures of a study."""
    from zoo.report import publish

    kept = [override for override in overrides if not override.startswith(("force=", "stale=", *ENGINE))]
    publish.report_study(table, figures, name, written(kept), quoting(overrides))


def written(overrides: Sequence[str]) -> str:
    """The command that reports under these overrides, as a shell takes it."""
    return shlex.join(["zoo", "report", *overrides])


def quoting(overrides: Sequence[str]) -> list[Path]:
    """The checkout's pages that quote tables if the repository's own results are written; none otherwise."""
    from zoo.files import in_checkout

    return [Path(page) for page in QUOTING] if OWN in overrides and in_checkout() else []


def variants(arguments: argparse.Namespace) -> int:
    """The methods by family."""
    from zoo.catalogue import FAMILIES
    from zoo.catalogue import variants as every

    trust = tuple(word.removeprefix(TRUST) for word in arguments.overrides if word.startswith(TRUST))
    asked = [word for word in arguments.overrides if not word.startswith(TRUST)]
    if unknown := [family for family in asked if family not in FAMILIES]:
        raise ZooError(f"zoo variants {unknown[0]}: no such family{nearest(unknown[0], FAMILIES)}")
    family = ""
    for variant in every(trust):
        if asked and variant.family not in asked:
            continue
        if variant.family != family:
            family = variant.family
            print(f"{family}:")
        source = f" ({variant.source})" if variant.source else ""
        print(f"  {variant.name}", wrapped(variant.method + source, "      "), sep="\n")
    return 0


def choices(name: str) -> str:
    """The options that a command takes, for its help page."""
    if name not in ("run", "study", "evaluate"):
        return ""
    axes = ["evaluation"] if name == "evaluate" else [*AXES]
    lines = [f"  {axis}=\n{wrapped(', '.join(names(axis)), '      ')}" for axis in axes]
    return "\n".join(["axes and their options:", *lines])


AXES = (
    *("variant", "data", "network", "bottleneck", "prior", "corruption", "likelihood", "objective", "fit"),
    *("optimizer", "schedule", "trainer", "engine", "search", "logger", "evaluation", "study"),
)


def wrapped(text: str, indent: str) -> str:
    """A text broken into lines of at most 79 columns, the first indented like the others."""
    return textwrap.fill(text, 79, initial_indent=indent, subsequent_indent=indent)


def completions(prefix: str, command: str = "run", **_: object) -> Iterable[str]:
    """Completions of `prefix` in a shell: axes, their options behind the equals sign, settings, names."""
    key, equals, _value = prefix.partition("=")
    if equals:
        return [f"{key}={option}" for option in names(key)] if is_axis(key) else []
    if command == "variants":
        from zoo.catalogue import FAMILIES

        return FAMILIES
    if command == "claims":
        return ["data=digits", "paths.results=", "processes="]
    axes = ("evaluation", "trainer") if command == "evaluate" else AXES
    first = names("study") if command == "study" else []
    return [*first, *(f"{name}=" for name in (*axes, *settings("evaluate" if command == "evaluate" else "config")))]


def settings(file: str) -> list[str]:
    """The top-level settings of a configuration file."""
    content = read_options(shipped() / f"{file}.yaml")
    plain = {key: value for key, value in content.items() if key not in ("defaults", "hydra", "about", "study")}
    nested = {key: value if isinstance(value, dict) and value else {"": None} for key, value in plain.items()}
    return [f"{key}.{inner}".rstrip(".") for key, inners in nested.items() for inner in inners]


USES: dict[str, tuple[tuple[str, str | int, str], ...]] = {  # commands on a model: options, defaults, help
    "show": (("--out", "", "folder of the pictures; by default beside the model"),),
    "encode": (("--out", "codes.csv", "a .npy or .csv file; codes.csv if left out"),),
    "outliers": (("--top", 20, "how many to print; 20 if left out"), ("--out", "", "a .csv file of all scores")),
    "export": (("--format", "onnx", "onnx or torch; onnx if left out"),),
    "card": (("--push", "", "user/name on the Hugging Face hub"),),
}
COMMANDS = {
    "run": Command(run, RUN, "key=value"),
    "study": Command(study, STUDY, "name [key=value ...]"),
    "evaluate": Command(evaluate, EVALUATE, "key=value"),
    "report": Command(report, REPORT, "key=value"),
    "advise": Command(advise, ADVISE, "data=name [minutes=5]"),
    "claims": Command(claims, CLAIMS, "name [key=value]"),
    "show": Command(show, SHOW, "model.safetensors|run=record [data=...]"),
    "encode": Command(encode, ENCODE, "model.safetensors samples"),
    "outliers": Command(outliers, OUTLIERS, "model.safetensors samples"),
    "export": Command(export, EXPORT, "model.safetensors folder"),
    "card": Command(card, CARD, "model.safetensors folder"),
    "variants": Command(variants, VARIANTS, "family"),
}

if __name__ == "__main__":
    main()
