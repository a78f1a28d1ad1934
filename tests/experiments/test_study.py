"""Studies: which runs they stand for, and that one failure stops no other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir

from experiments.grid import jobs_of, product
from zoo.records import read_record

TINY = """
sweeps:
  - [data=digits, "variant=pca,svd", "width=4,65"]
  - [data=digits, "variant=pca", "width=4,5"]
processes: {processes}
"""


@pytest.fixture
def folder(tmp_path):
    """A folder of studies: runs that cannot be, 65 components of 64 pixels, among others."""
    (tmp_path / "conf" / "study").mkdir(parents=True)
    for name, processes in (("one", 1), ("two", 2)):
        (tmp_path / "conf" / "study" / f"{name}.yaml").write_text(TINY.format(processes=processes))
    return f"--config-dir={tmp_path / 'conf'}"


@pytest.fixture
def records(tmp_path):
    def read():
        found = [read_record(path) for path in (tmp_path / "results" / "records").rglob("*.json")]
        return sorted((record.variant, record.width) for record in found)

    return read


GROUPS = "evaluation.groups=[reconstruction]"
DONE = [("pca", 4), ("pca", 5), ("svd", 4)]


def test_a_failing_run_stops_no_other_and_the_status_tells(folder, process, command, records):
    outcome = process(folder, "study=two", GROUPS)
    assert outcome.status == 1, outcome.said
    assert records() == DONE
    assert "5 runs, 0 of them done before, 5 to run" in outcome.said
    assert re.search(r"^error: 2 of 5 runs failed:$", outcome.said, flags=re.M)
    for variant in ("pca", "svd"):
        assert re.search(
            rf"^  {variant} width 65 seed 0: width=65: 1293 images .* smaller width$", outcome.said, flags=re.M
        )
    assert Path("results/digits/benchmark.md").name in outcome.said
    assert "Traceback" not in outcome.said

    again = command(folder, "study=two", GROUPS)
    assert again.status == 1
    assert "5 runs, 3 of them done before, 2 to run" in again.said
    assert records() == DONE


def test_what_the_command_line_says_goes_for_every_run(folder, command, records, tmp_path):
    outcome = command(folder, "study=one", GROUPS, "width=3")
    assert outcome.status == 0, outcome.said
    assert records() == [("pca", 3), ("svd", 3)]
    assert (tmp_path / "results" / "digits" / "benchmark.csv").exists()


def test_a_study_can_be_given_fewer_processes(folder, command, records):
    outcome = command(folder, "study=two", "processes=1", "width=3", GROUPS)
    assert outcome.status == 0, outcome.said
    assert records() == [("pca", 3), ("svd", 3)]


def test_sweeps_are_products_in_hydras_syntax(repository):
    variants = sorted(path.stem for path in (repository / "conf" / "variant").glob("*.yaml"))
    with initialize_config_dir(str(repository / "conf"), version_base="1.3"):
        assert list(product(["variant=pca,vae", "seed=range(0,2)", "data=digits"])) == [
            ("variant=pca", "seed=0", "data=digits"),
            ("variant=pca", "seed=1", "data=digits"),
            ("variant=vae", "seed=0", "data=digits"),
            ("variant=vae", "seed=1", "data=digits"),
        ]
        assert [one for (one,) in product(["variant=glob(*)"])] == [f"variant={variant}" for variant in variants]


def test_the_digits_study_runs_every_variant_with_three_seeds(repository):
    variants = {path.stem for path in (repository / "conf" / "variant").glob("*.yaml")}
    with initialize_config_dir(str(repository / "conf"), version_base="1.3"):
        cfg = compose("config", ["study=digits"], return_hydra_config=True)
        table, *others = jobs_of(cfg, cfg.hydra)
    assert {(job.variant, job.seed) for job in table} == {(v, seed) for v in variants for seed in (0, 1, 2)}
    assert {job.name for job in table} == variants, "an override of the study itself is in a row's name"
    assert {job.width for job in table} == {8}
    assert len({job.record_path for job in table}) == len(table) == 3 * len(variants)
    assert all(len({job.width for job in sweep}) > 1 for sweep in others)
