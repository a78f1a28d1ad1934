"""The command `zoo`: fit, study, evaluate, report, list. `python -m experiments.run` and its like call it, too."""

from __future__ import annotations

import argparse
import shlex
import sys
import textwrap
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.errors import ZooError, nearest
from zoo.options import folders, is_axis, names, shipped

if TYPE_CHECKING:
    from zoo.runs.job import Job

MISTAKE, FAILED, INTERRUPTED = 2, 1, 130  # exit statuses

RUN = """Fit a method, measure it, keep the record.

A run is a point on the axes below. variant= chooses a method; every axis and
every value can be overridden. A run whose record exists is skipped; metrics
that its record lacks are measured from the saved model.

  zoo run variant=vae data=mnist               one run
  zoo run variant=vae network=conv width=16    other options and values
  zoo run -m variant='glob(*)' seed=0,1,2      a sweep: every combination
  zoo run variant=vae --cfg                    the configuration; nothing is run
  zoo run data=folder data.source.path=photos  pictures of your own"""
STUDY = """Run a grid of runs, then write its tables and figures.

What is recorded already is not run again, so an interrupted study resumes.
Overrides apply to every run. Without a name, the studies are listed.

  zoo study digits                             a tour on scikit-learn's digits
  zoo study mnist seed=0 processes=1           one seed, one process
  zoo study digits stale=rerun                 what other code has made, again"""
EVALUATE = """Measure metrics of saved models, without fitting.

run= is a record or a folder of records. Metrics that a record lacks are added
to it; none is lost.

  zoo evaluate run=outputs/records/digits      every metric but the slowest
  zoo evaluate run=outputs evaluation=bound    likelihoods, 5,000 samples
  zoo evaluate run=outputs again=true          what is there already, again"""
REPORT = """Write tables and figures of what is recorded.

With paths.results=results these are the repository's own, and its README is
updated where it quotes them.

  zoo report study=digits                      a study
  zoo report data=mnist                        a data set, at its own width
  zoo report study=digits paths.results=results"""
ADVISE = """Advise which method and width to use for some data.

Methods are fitted within the minutes given, and judged on samples held out: for
reconstruction, compression, labels, sampling and outliers. Ctrl-C ends with
advice from what is done. The page is outputs/<data>/advice/README.md.

  zoo advise data=digits minutes=3
  zoo advise data=folder data.source.path=photos minutes=10"""
VARIANTS = """List the methods, or those of one family.

  zoo variants
  zoo variants sparse"""
LOGO = "The bottleneck zoo: PCA, autoencoders and VAEs, fitted and compared by the same code."


@dataclass(frozen=True)
class Command:
    """A command of the command line.

    Attributes:
        call: does it, and returns the exit status.
        help: its help page, the first line of which is its summary.
        takes: name of its positional arguments in the help page.
    """

    call: Callable[[argparse.Namespace], int]
    help: str
    takes: str


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and leave with its exit status: 0, 1 where runs failed, 2 for a mistake, 130 after Ctrl-C."""
    parser = whole_parser()
    try:
        import argcomplete
    except ImportError:
        pass
    else:
        argcomplete.autocomplete(parser, always_complete_options=False)
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        sys.exit(dispatch(parser, given))
    except ZooError as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(MISTAKE)
    except KeyboardInterrupt:
        print("\ninterrupted: finished runs are kept; the same command resumes", file=sys.stderr)
        sys.exit(INTERRUPTED)


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
    commands = parser.add_subparsers(metavar="command", title="commands (zoo <command> --help tells more)")
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
    setattr(positional, "completer", partial(completions, command=name))  # noqa: B010 (argcomplete's way)
    if name in ("run", "study", "report"):
        parser.add_argument("--config-dir", type=Path, metavar="DIR", help="more option files: studies, variants")
    if name in ("run", "study", "evaluate"):
        parser.add_argument("--cfg", action="store_true", help="print the whole configuration and leave")
    parser.set_defaults(multirun=False)
    if name == "run":
        parser.add_argument("-m", "--multirun", action="store_true", help="run every combination of several values")
    return parser


class Version(argparse.Action):
    """`--version`, looked up only when asked for."""

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
        if cfg.study is not None:
            from zoo.runs.grid import jobs_of

            table, figures = jobs_of(cfg)
            name = str(cfg.hydra.runtime.choices["study"])
            return run_study(name, [*arguments.overrides], table, figures, cfg.processes)
        job = Job.of(cfg)
    return run_job(job)


def run_job(job: Job) -> int:
    """One run."""
    record = job.existing()
    if record is not None and not job.due(record):
        print(f"{job.name} on {job.data}, seed {job.seed}: done before (force=true runs it again)")
        if job.is_stale(record):
            print("its code has changed since (stale=rerun runs it again)")
    else:
        print(f"{job.name} on {job.data}, seed {job.seed}", flush=True)
    from zoo.runs.single import describe, failed, run_one  # torch takes a second to import

    record = run_one(job)
    describe(job, record)
    return FAILED if failed(record) else 0


def sweep(overrides: Sequence[str]) -> int:
    """Every combination of several values, on all cores; then one table."""
    from zoo.runs.grid import runs
    from zoo.runs.study import run_jobs

    if named := [override for override in overrides if override.startswith("study=")]:
        raise ZooError(f"{named[0]}: a study is a grid of runs already; leave out -m")
    jobs = list(runs([overrides]).values())
    failures = run_jobs(jobs, None, partial(import_module, "zoo.report.table"))
    from zoo.report.table import print_tables

    tell(failures, len(jobs))
    if records := [record for job in jobs if (record := job.recorded()) is not None]:
        print_tables(records)
        print(f"records below {jobs[0].results / 'records'}")
    return FAILED if failures else 0


def run_study(
    name: str,
    overrides: Sequence[str],
    table: Sequence[Job],
    figures: Sequence[Job],
    processes: int | None,
) -> int:
    """What a study still lacks, then its tables and figures."""
    from zoo.runs.study import run_jobs

    failures = run_jobs([*table, *figures], processes, partial(import_module, "zoo.report.publish"))
    tell(failures, len(table) + len(figures))
    report_study(name, overrides, table, figures)
    return FAILED if failures else 0


def tell(failures: Sequence[str], runs: int) -> None:
    """Print every failure."""
    if failures:
        print(f"error: {len(failures)} of {runs} runs failed:", *failures, sep="\n  ", file=sys.stderr)


def study(arguments: argparse.Namespace) -> int:
    """A study by name, or the list of studies."""
    if not arguments.overrides:
        for name, about in studies(arguments.config_dir):
            print(f"{name:<16}{about}")
        return 0
    name, *others = arguments.overrides
    if "=" in name:
        raise ZooError(f"zoo study {name}: name the study first; zoo study alone lists them")
    if again := [override for override in others if override.startswith("study=")]:
        raise ZooError(f"{again[0]}: the study is {name}; one command runs one study")
    arguments.overrides = [f"study={name}", *others]
    return run(arguments)


def studies(folder: Path | None) -> list[tuple[str, str]]:
    """Every study, and what its file says about it."""
    import yaml

    places = [*folders(), *([folder] if folder is not None else [])]
    paths = sorted(path for place in places for path in (place / "study").glob("*.yaml"))
    return [(path.stem, yaml.safe_load(path.read_text(encoding="utf-8")).get("about", "")) for path in paths]


def evaluate(arguments: argparse.Namespace) -> int:
    """Metrics of saved models."""
    from zoo.runs.compose import as_yaml, composed, composing, required
    from zoo.runs.rescore import Rescoring, find_records, rescore

    with composing(arguments.overrides) as given:
        cfg = composed("evaluate", given)
        if arguments.cfg:
            print(as_yaml(cfg), end="")
            return 0
        asked, where = Rescoring.of(cfg), required(cfg, "run", "a record's file, or a folder of records")
    failures, paths = [], find_records(Path(where))
    for path in paths:
        try:
            record, measured = rescore(path, asked)
        except ZooError as error:
            failures.append(str(error))
            continue
        from zoo.runs.single import show_metrics

        print(f"{path}: {record.name}, {len(measured)} metrics" if measured else f"{path}: nothing lacks")
        show_metrics(record, measured)
    if failures:
        print(f"error: {len(failures)} of {len(paths)} records not measured:", *failures, sep="\n  ", file=sys.stderr)
    return FAILED if failures else 0


def report(arguments: argparse.Namespace) -> int:
    """Tables and figures."""
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
        raise ZooError(f"data={job.data}: say which, by data.source.path=")
    overrides = arguments.overrides
    report_data(job.results, job.data, job.width, written(overrides), readme(overrides), job.trust)
    return 0


def advise(arguments: argparse.Namespace) -> int:
    """Advice for some data, and its page."""
    from zoo.advice.asked import advice_for

    advice, folder = advice_for(arguments.overrides)
    print("", advice, "", *advice.save(folder), sep="\n")
    return 0


def report_study(
    name: str,
    overrides: Sequence[str],
    table: Sequence[Job],
    figures: Sequence[Job],
) -> None:
    """The tables and figures of a study."""
    from zoo.report import publish

    kept = [override for override in overrides if not override.startswith(("force=", "stale=", "processes="))]
    publish.report_study(table, figures, name, written(kept), readme(overrides))


def written(overrides: Sequence[str]) -> str:
    """The command that reports under these overrides, as a shell takes it."""
    return shlex.join(["zoo", "report", *overrides])


def readme(overrides: Sequence[str]) -> Path | None:
    """The checkout's README, where its own results are asked for by name; None otherwise."""
    from zoo.files import in_checkout

    return Path("README.md") if "paths.results=results" in overrides and in_checkout() else None


def variants(arguments: argparse.Namespace) -> int:
    """The methods by family."""
    from zoo.catalogue import FAMILIES
    from zoo.catalogue import variants as every

    asked = arguments.overrides
    if unknown := [family for family in asked if family not in FAMILIES]:
        raise ZooError(f"zoo variants {unknown[0]}: no such family{nearest(unknown[0], FAMILIES)}")
    family = ""
    for variant in every():
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
    *("optimizer", "schedule", "trainer", "evaluation", "study"),
)


def wrapped(text: str, indent: str) -> str:
    """A text broken into lines of at most 79 columns, the first indented like the others."""
    return textwrap.fill(text, 79, initial_indent=indent, subsequent_indent=indent)


def completions(prefix: str, command: str = "run", **_: object) -> Iterable[str]:
    """What a shell may complete `prefix` to: axes, their options behind the equals sign, settings, names."""
    key, equals, _value = prefix.partition("=")
    if equals:
        return [f"{key}={option}" for option in names(key)] if is_axis(key) else []
    if command == "variants":
        from zoo.catalogue import FAMILIES

        return FAMILIES
    axes = ("evaluation", "trainer") if command == "evaluate" else AXES
    first = names("study") if command == "study" else []
    return [*first, *(f"{name}=" for name in (*axes, *settings("evaluate" if command == "evaluate" else "config")))]


def settings(file: str) -> list[str]:
    """The settings of the top level of a configuration, as its file has them."""
    import yaml

    content = yaml.safe_load((shipped() / f"{file}.yaml").read_text(encoding="utf-8"))
    plain = {key: value for key, value in content.items() if key not in ("defaults", "hydra", "about", "study")}
    nested = {key: value if isinstance(value, dict) and value else {"": None} for key, value in plain.items()}
    return [f"{key}.{inner}".rstrip(".") for key, inners in nested.items() for inner in inners]


COMMANDS = {
    "run": Command(run, RUN, "key=value"),
    "study": Command(study, STUDY, "name [key=value ...]"),
    "evaluate": Command(evaluate, EVALUATE, "key=value"),
    "report": Command(report, REPORT, "key=value"),
    "advise": Command(advise, ADVISE, "data=name [minutes=5]"),
    "variants": Command(variants, VARIANTS, "family"),
}

if __name__ == "__main__":
    main()
