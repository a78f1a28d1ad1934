import base64
import io
import re
from collections.abc import Callable
from contextlib import redirect_stdout
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t as student

from tests.report.digits_records import REPORTED, VARIANTS, digits_record, sweep_records, table_records
from zoo.errors import ZooError
from zoo.evaluation.registry import METRICS
from zoo.report.figures import FIGURES
from zoo.report.publish import check_study, publish, quoted_in, quoting, report_data, report_study, write_report
from zoo.report.statistics import Cell, comparable, decoded
from zoo.report.table import (
    Column,
    apart,
    benchmark,
    columns,
    excerpt,
    headlines,
    markdown,
    print_table,
    print_tables,
    varied_over,
)
from zoo.runs.identity import code_digest
from zoo.runs.job import Job
from zoo.runs.records import Record, write_record

COMMAND = "zoo report study=digits"


def with_metric(record, metric, **changes):
    return replace(record, metrics=record.metrics | {metric: record.metrics[metric] | changes})


def table_rows(page: str, heading: str) -> list[list[str]]:
    """Cells of the table under a heading, the line of dashes left out."""
    lines = page.split(f"## {heading}\n\n")[1].split("\n\n")[0].splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for k, line in enumerate(lines) if k != 1]


def test_benchmark_holds_means_and_intervals_of_all_metrics() -> None:
    records = table_records()
    frame = benchmark(records)
    assert list(frame.columns) == ["variant", "seeds", *(c for m in REPORTED for c in (m, f"{m}_ci95"))]
    assert set(frame["variant"]) == set(VARIANTS)
    assert frame["mse"].is_monotonic_increasing
    for _, row in frame.iterrows():
        entries = [digits_record(row["variant"], 8, seed).metrics["psnr"] for seed in range(3)]
        values = [entry["value"] for entry in entries]
        seeds = np.var(values, ddof=1) / 3
        samples = np.mean([decoded(entry["resampled"]) for entry in entries], 0).var(ddof=1)
        freedom = (seeds + samples) ** 2 / (seeds**2 / 2 + samples**2 / 99)
        assert row["seeds"] == 3
        assert row["psnr"] == pytest.approx(np.mean(values))
        assert row["psnr_ci95"] == pytest.approx(student.ppf(0.975, freedom) * np.sqrt(seeds + samples))


def test_one_seed_has_the_interval_of_its_samples_and_a_metric_that_does_not_apply_is_empty() -> None:
    pca = with_metric(digits_record("pca", 8, 0), "ssim", value=None, reason="too small")
    frame = benchmark([pca, digits_record("svd", 8, 0)])
    assert frame[["parameters_ci95", "macs_ci95", "fit_seconds_ci95"]].isna().all(axis=None)
    assert (frame["mse_ci95"] > 0).all()
    assert frame.set_index("variant")["ssim"].isna().to_dict() == {"pca": True, "svd": False}
    assert "- **ssim** of pca: too small" in markdown([pca, digits_record("svd", 8, 0)], COMMAND)


def test_a_metric_that_some_runs_lack_is_listed() -> None:
    pca = digits_record("pca", 8, 0)
    old = replace(pca, metrics={name: about for name, about in pca.metrics.items() if name != "ssim"})
    page = markdown([old, digits_record("svd", 8, 0)], COMMAND)
    assert "- **ssim** of pca: not measured" in page


def test_reasons_shared_by_rows_and_metrics_are_listed_once() -> None:
    records = [digits_record(name, 8, 0) for name in VARIANTS]
    for metric in ("ssim", "psnr"):
        records = [r if r.name == "svd" else with_metric(r, metric, value=None, reason="too small") for r in records]
    assert "\n\n- **psnr, ssim** of all but svd: too small\n\n" in markdown(records, COMMAND)


def test_one_name_with_two_configurations_is_refused() -> None:
    with pytest.raises(ZooError, match="'pca' have 2 configurations"):
        benchmark([*table_records(), digits_record("pca", 16, 3)])


def test_the_best_is_marked_ties_included() -> None:
    records = table_records()
    found = {column.metric: column for column in columns(records)}
    assert found["mse"].best == {"pca", "svd"}
    assert "pca" in found["ssim"].best
    assert not {"deep_ae", "deep_ae corruption=gaussian"} & found["ssim"].best
    assert found["epochs"].best == set()
    assert found["parameters"].best == {"pca", "svd"}
    near = [with_metric(record, "mse", value=record.metrics["mse"]["value"] * (1 + 1e-9)) for record in records]
    twins = [replace(r, name="twin", hash="twin") for r in near if r.name == "pca"]
    assert {column.metric: column.best for column in columns([*records, *twins])}["mse"] == {"pca", "svd", "twin"}


def test_rows_that_cannot_be_told_apart_from_the_best_are_marked() -> None:
    rng = np.random.default_rng(0)

    def row(name, error, **about):
        record = next(r for r in table_records() if r.name == "pca" and r.seed == 0)
        draws = np.random.default_rng(1).integers(0, 400, (100, 400))
        kept = base64.b64encode(error[draws].mean(1).astype(np.float32).tobytes()).decode()
        entry = record.metrics["mse"] | {"value": float(error.mean()), "resampled": kept} | about
        return replace(record, name=name, hash=name, metrics={"mse": entry})

    error = rng.exponential(size=400)
    rows = [row("best", error), row("near", error + rng.normal(0.002, 0.1, 400)), row("worse", error + 0.01)]
    (column,) = columns(rows)
    assert column.best == {"best", "near"}, "in pairs, a small difference on every sample counts"
    assert all(column.cells[name].half_text for name in ("best", "near", "worse"))
    (measured,) = columns([row("best", error, measured=True), row("worse", error + 1, measured=True)])
    assert measured.best == set(), "seconds of one machine at one time say little"
    empty = [replace(r, metrics={"mse": r.metrics["mse"] | {"value": None, "reason": "none"}}) for r in rows]
    few = [replace(r, name=f"empty {k}", hash=f"empty {k}") for k, r in enumerate(empty)]
    assert {c.metric: c.best for c in columns([rows[0], *few])}["mse"] == set()


def test_rows_that_are_written_alike_may_differ() -> None:
    (column,) = columns(with_values({"pca": 1.001, "svd": 1.002, "deep_ae": 5.0}))
    assert column.cells["pca"].text == column.cells["svd"].text == "1.00"
    assert column.best == {"pca"}


def test_the_only_row_with_an_interval_is_marked_only_if_it_is_the_only_row() -> None:
    records = [r for r in deepcopy(table_records()) if r.name in ("pca", "svd")]
    for record in records:
        if record.name == "svd":
            record.metrics["sse"] = {k: v for k, v in record.metrics["sse"].items() if k != "resampled"}
            record.metrics["sse"] |= {"value": 1e9}
    assert {c.metric: c.best for c in columns(records)}["sse"] == set()
    assert {c.metric: c.best for c in columns([r for r in records if r.name == "pca"])}["sse"] == {"pca"}


def with_values(values: dict[str, float], **about: object) -> list[Record]:
    """A record of each row, with a value of mse and no resamples; exact, unless `about` says otherwise."""
    records = [digits_record(name, 8, 0) for name in values]
    plain = {key: value for key, value in records[0].metrics["mse"].items() if key not in ("resampled", "interval")}
    exact = plain | {"group": "cost"}
    return [replace(r, metrics={"mse": exact | about | {"value": values[r.name]}}) for r in records]


def test_nothing_is_marked_where_it_is_not_known_how_values_vary() -> None:
    (column,) = columns(with_values({"pca": 1.0, "svd": 2.0, "deep_ae": 3.0}, group="reconstruction"))
    assert column.best == set()
    (column,) = columns(with_values({"pca": 1.0, "svd": 2.0, "deep_ae": 3.0}))
    assert column.best == {"pca"}
    (column,) = columns(with_values({"pca": 1.0, "svd": 2.0, "deep_ae": 3.0}, measured=True))
    assert column.best == set()


def test_nothing_is_marked_where_no_row_differs_from_the_best() -> None:
    (column,) = columns(with_values({"pca": 1.0, "svd": 1.0, "deep_ae": 1.0}))
    assert column.best == set()
    (column,) = columns(with_values({"pca": 1.0, "svd": 1.0, "deep_ae": 2.0}))
    assert column.best == {"pca", "svd"}


def test_nothing_is_marked_where_half_of_the_rows_have_a_value() -> None:
    records = with_values({"pca": 1.0, "svd": 2.0, "deep_ae": 3.0, "deep_ae corruption=gaussian": 4.0})
    empty = [replace(r, metrics={"mse": r.metrics["mse"] | {"value": None, "reason": "none"}}) for r in records]
    (column,) = columns([*records[:2], *empty[2:]])
    assert column.best == set()
    (column,) = columns([*records[:3], *empty[3:]])
    assert column.best == {"pca"}


def test_the_direction_is_that_of_the_code_and_not_of_an_old_record() -> None:
    (column,) = columns(with_values({"pca": 1.0, "svd": 2.0}, direction="higher"))
    assert (column.name, column.best) == ("mse ↓", {"pca"})


def test_what_training_images_would_score_and_what_intervals_are_over_stands_with_the_definition() -> None:
    curve = {"samples": ["mixture", "training images"], "value": [2.0, 0.25]}
    about = table_records()[0].metrics["mse"] | {"group": "generation", "curve": curve}
    plain = {key: value for key, value in about.items() if key not in ("resampled", "interval", "curve")}
    records = [
        replace(r, metrics=r.metrics | {"frechet": about, "prior_frechet": about | {"curve": {}}, "mig": plain})
        for r in table_records()
    ]
    page = markdown(records, COMMAND)
    for metric in ("frechet", "prior_frechet"):
        assert f"- **{metric}** (n = 360; training images themselves: 0.25)" in page
    assert "- **mig** (n = 360)" in page, "one value for all"
    moved = [
        replace(r, metrics=r.metrics | {"mig": r.metrics["mig"] | {"value": r.metrics["mig"]["value"] + r.seed}})
        for r in records
    ]
    assert "- **mig** (n = 360; intervals over seeds alone)" in markdown(moved, COMMAND)


def test_the_page_has_scope_tables_definitions_figures_and_command() -> None:
    page = markdown(table_records(), COMMAND, ["overview.png"])
    assert page.startswith("# digits: 360 test images, width 8, seeds 0, 1, 2\n")
    header, *body = table_rows(page, "Reconstruction")
    assert header == [
        "variant",
        "seeds",
        "sse ↓ (squared error per sample)",
        "mse ↓ (squared error per value)",
        "psnr ↑ (dB)",
        "ssim ↑",
    ]
    assert [row[0] for row in body] == list(benchmark(table_records())["variant"])
    for row in body:
        mean = float(re.match(r"(?:\*\*)?([\d.]+) ± [\d.]+", row[3])[1])
        assert mean == pytest.approx(benchmark(table_records()).set_index("variant")["mse"][row[0]], abs=6e-5)
    assert [row[3].startswith("**") for row in body] == [True, True, False, False]
    assert table_rows(page, "Cost")[0][2:4] == ["parameters ↓", "macs ↓ (multiply-accumulates per sample)"]
    for metric in REPORTED:
        about = table_records()[0].metrics[metric]
        counted = "" if about["group"] == "cost" else " (n = 360)"
        assert f"- **{metric}**{counted}: {about['definition']}" in page
    assert "![overview](overview.png)" in page
    assert f"`{COMMAND}`" in page


@pytest.mark.parametrize(
    "name", ["pca", "a_variant_of_a_long_name corruption=gaussian corruption.std=0.25 network=conv"]
)
def test_the_terminal_table_fits_80_columns(name: str) -> None:
    records = [replace(r, name=name) if r.name == "pca" else r for r in table_records()]
    with redirect_stdout(io.StringIO()) as out:
        print_table(records, REPORTED)
    lines = out.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    assert any("mse ↓" in line for line in lines)
    for column in columns(records):
        for text in column.texts(["svd"], "{}"):
            assert any("svd" in line and text in line for line in lines)


@pytest.mark.parametrize(
    ("groups", "first"),
    [
        (("words", "reconstruction", "cost"), "wordsim353"),
        (("documents", "reconstruction", "cost"), "retrieval_precision"),
        (("disentanglement", "reconstruction", "cost"), "mig"),
        (("dictionary", "reconstruction", "cost"), "planted_recovery"),
        (("robustness", "reconstruction", "cost"), "mse"),
    ],
)
def test_a_table_shows_first_what_its_study_is_about(groups, first):
    def column(name: str, rows: int) -> Column:
        about = {"group": METRICS[name].group, "direction": METRICS[name].direction}
        return Column(name, about, dict.fromkeys(map(str, range(rows)), Cell(1.0, None, False)), set())

    every = {"perplexity": 2, "fit_seconds": 5, "mse": 5, "denoising_gaussian_mse": 5, "retrieval_precision": 5}
    every |= {"wordsim353": 5, "mig": 5, "planted_recovery": 5}
    filled = [column(name, rows) for name, rows in every.items() if METRICS[name].group in groups]
    found = headlines(filled, 10)
    assert found[0] == first
    assert set(found) == {each.metric for each in filled}


def test_the_report_is_complete_and_the_same_each_time(tmp_path: Path) -> None:
    files = write_report(table_records(), tmp_path / "a", COMMAND, sweep_records())
    again = write_report(table_records(), tmp_path / "b", COMMAND, [*sweep_records(), *table_records()])
    lacking = (
        *("atoms", "robustness_curves", "rate_distortion", "explained_variance_against_l0", "outlier_detection"),
        "disentanglement",
        *(
            "traversals",
            "scores_against_width",
            "retrieval_curves",
            "topics",
            "document_maps",
            "neighbours",
            "word_maps",
        ),
    )
    figures = [f"{name}.png" for name in FIGURES if name not in lacking]
    assert [path.name for path in files] == ["benchmark.md", "benchmark.csv", *figures]
    assert sorted((tmp_path / "a").iterdir()) == sorted(files)
    for first, second in zip(files, again, strict=True):
        assert first.read_bytes() == second.read_bytes()
        assert first.stat().st_size < 300_000
    read = pd.read_csv(tmp_path / "a" / "benchmark.csv")
    pd.testing.assert_frame_equal(read, benchmark(table_records()), check_dtype=False, rtol=1e-9)
    linked = re.findall(r"\]\((.*?)\)", files[0].read_text())
    assert linked == [path.name for path in files[2:]]


def test_figures_without_data_are_left_out_and_old_ones_removed(tmp_path: Path) -> None:
    write_report(table_records(), tmp_path, COMMAND, sweep_records())
    files = write_report([r for r in table_records() if r.name in ("pca", "svd")], tmp_path, COMMAND)
    names = {path.name for path in files}
    assert {"overview.png", "error_against_cost.png", "samples.png"} <= names
    assert names.isdisjoint({"restorations.png", "training_curves.png", "error_against_width.png"})
    assert {path.name for path in tmp_path.iterdir()} == names


def test_what_cannot_be_reported_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    with pytest.raises(ZooError, match="no records to report"):
        write_report([], tmp_path / "new", COMMAND)
    with pytest.raises(ZooError, match="records of digits, mnist"):
        write_report([*table_records(), replace(digits_record("pca", 8, 0), data="mnist")], tmp_path / "new", COMMAND)
    svd = digits_record("svd", 8, 0)
    other = replace(svd, images=svd.images | {"original": svd.images["reconstruction"]})
    with pytest.raises(ZooError, match="different test images"):
        write_report([digits_record("pca", 8, 0), other], tmp_path / "new", COMMAND)
    assert list(tmp_path.iterdir()) == []


def test_changes_that_all_rows_share_are_written_once() -> None:
    changed = [replace(r, name=f"{r.name} budget.epochs=4") for r in table_records()]
    page = markdown(changed, COMMAND)
    assert "All rows with `budget.epochs=4`." in page
    assert {row[0] for row in table_rows(page, "Reconstruction")[1:]} == set(VARIANTS)
    assert "budget.epochs" not in excerpt(changed, ["pca"], ["mse"])
    assert "All rows" not in markdown(table_records(), COMMAND)
    lists = [replace(r, name=f"{r.name} hidden=[{r.variant}, 4]") for r in table_records()]
    assert "All rows" not in markdown(lists, COMMAND), "a part of a change is no change"
    assert set(benchmark(changed)["variant"]) == {f"{name} budget.epochs=4" for name in VARIANTS}


def test_sparse_variants_are_drawn_over_the_budgets_of_the_sweep(tmp_path):
    def sparse(record):
        numbers = {"explained_variance": 0.05 * record.width, "l0": float(record.width)}
        return replace(
            record, metrics=record.metrics | {k: record.metrics["mse"] | {"value": v} for k, v in numbers.items()}
        )

    records = [sparse(record) for record in sweep_records()]
    page, *_ = write_report([r for r in records if r.width == 16], tmp_path, COMMAND, records)
    assert "(explained_variance_against_l0.png)" in page.read_text()
    drawn = (tmp_path / "explained_variance_against_l0.png").read_bytes()
    write_report([r for r in records if r.width == 16], tmp_path, COMMAND)
    assert (tmp_path / "explained_variance_against_l0.png").read_bytes() != drawn


def test_widths_have_tables_of_their_own_and_configurations_of_one_name_rows_of_their_own() -> None:
    records = [digits_record("pca", width, 0) for width in (2, 8)] + [digits_record("svd", 8, 0)]
    other = replace(records[1], hash="fedcba9876", seed=1)
    with redirect_stdout(io.StringIO()) as out:
        print_tables([*records, other])
    said = out.getvalue()
    assert "width 2, seed 0" in said
    assert f"pca {records[1].hash[:6]}" in said
    assert "pca fedcba" in said
    assert max(map(len, said.splitlines())) <= 80
    assert [record.name for record in apart(records[1:])] == ["pca", "svd"]


def test_a_run_that_is_not_measured_yet_or_failed_breaks_no_table(tmp_path: Path) -> None:
    pca, svd = digits_record("pca", 8, 0), digits_record("svd", 8, 0)
    fresh = replace(svd, metrics={})
    broken = with_metric(pca, "ssim", value=None, failed=True, reason="ValueError: a fault")
    files = write_report([broken, fresh, digits_record("deep_ae", 8, 0)], tmp_path, COMMAND)
    page = files[0].read_text()
    assert "- **ssim** of pca: ValueError: a fault" in page
    assert "of svd: not measured" in page
    with redirect_stdout(io.StringIO()):
        print_table([broken, fresh])
    write_report([fresh], tmp_path, COMMAND)


def test_a_metric_that_failed_in_every_row_is_listed_with_its_reason() -> None:
    broken = [
        with_metric(r, "ssim", value=None, failed=True, reason=f"ValueError: fault {r.name}")
        for r in (digits_record("pca", 8, 0), digits_record("svd", 8, 0))
    ]
    page = markdown(broken, COMMAND)
    assert "ssim" not in [column.metric for column in columns(broken)]
    assert "- **ssim** of pca: ValueError: fault pca\n- **ssim** of svd: ValueError: fault svd" in page


# Staleness


def test_rows_of_other_code_are_named(tmp_path: Path) -> None:
    pca, svd = (
        replace(r, config={"bottleneck": {"option": "identity", "width": 8, "activation": "identity"}})
        for r in (digits_record("pca", 8, 0), digits_record("svd", 8, 0))
    )
    fresh = replace(svd, code=code_digest(svd.config))
    page = write_report([pca, fresh], tmp_path, COMMAND, rerun="zoo study digits stale=rerun")[0].read_text()
    assert page.split("## Stale rows\n\n")[1].startswith(
        "The code of these rows has changed since they were recorded; `zoo study digits stale=rerun` runs them again."
        "\n\n- pca\n\n"
    )
    assert "## Stale rows" not in write_report([fresh], tmp_path, COMMAND)[0].read_text()
    both = [replace(record, name=f"{record.name} hidden=[8, 4]") for record in (pca, fresh)]
    page = write_report(both, tmp_path, COMMAND)[0].read_text()
    assert "`stale=rerun` runs them again.\n\n- pca\n\n" in page, "named as in the table"


# Quoting


MARK, END = "<!-- table: digits | svd, deep_ae | ssim, mse -->", "<!-- end -->"
README = f"Text.\n{MARK}\nold\n{END}\nMore.\n"


def test_a_file_that_quotes_a_table_is_updated_only_if_it_is_given(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (readme := tmp_path / "README.md").write_text(README)
    with redirect_stdout(io.StringIO()):
        publish(table_records(), [], tmp_path / "results" / "digits", COMMAND)
        assert readme.read_text() == README
        publish(table_records(), [], tmp_path / "results" / "digits", COMMAND, [readme])
    table = excerpt(table_records(), ["svd", "deep_ae"], ["ssim", "mse"])
    assert readme.read_text() == f"Text.\n{MARK}\n{table}\n{END}\nMore.\n"


def test_a_quoted_table_has_the_rows_and_columns_of_its_mark() -> None:
    header, _, *rows = excerpt(table_records(), ["deep_ae", "svd"], ["ssim", "mse"]).splitlines()
    assert [cell.split()[0] for cell in header.strip("|").split("|")] == ["variant", "ssim", "mse"]
    assert [row.strip("|").split()[0] for row in rows] == ["svd", "deep_ae"], "the smaller mse first"
    for rows, metrics, lacking in ((["svd", "vaee"], ["mse"], "vaee"), (["svd"], ["mse", "msee"], "msee")):
        with pytest.raises(ZooError, match=f"the quoted table names {lacking}, which the study does not have"):
            excerpt(table_records(), rows, metrics)


def test_a_file_may_quote_two_tables_of_one_study() -> None:
    twice = README + README.replace("svd, deep_ae | ssim, mse", "pca | parameters")
    text = quoting(twice, "digits", table_records())
    assert text.count("parameters ↓") == text.count("ssim ↑") == 1
    assert quoting(text, "digits", table_records()) == text


def test_a_mark_that_is_missing_or_incomplete_is_an_error() -> None:
    other = README.replace("digits", "own-1a2b3c4d")
    assert quoted_in(README + other) == ["digits", "own-1a2b3c4d"]
    assert quoted_in("nothing") == []
    wrong_order = README.replace(MARK, "?").replace(END, MARK).replace("?", END)
    for broken in (README.replace(END, ""), README.replace(MARK, ""), README.replace(END, "") + other, wrong_order):
        with pytest.raises(ZooError, match="one of them is missing"):
            quoted_in(broken)
        with pytest.raises(ZooError, match="one of them is missing"):
            quoting(broken, "digits", table_records())
    with pytest.raises(ZooError, match=r"no table of mnist is quoted: the mark <!-- table: mnist \| <rows> \| <me"):
        quoting(README, "mnist", table_records())
    for short in ("digits", "digits | svd"):
        with pytest.raises(ZooError, match="the mark of a quoted table of digits is incomplete"):
            quoted_in(README.replace("digits | svd, deep_ae | ssim, mse", short))


# Whole studies and data sets


@pytest.fixture
def recorded_jobs(tmp_path: Path, compose_job: Callable[..., Job]) -> list[Job]:
    """Two runs of PCA and two of SVD with their records; the code of those of SVD has changed since."""
    found = []
    for name in ("pca", "svd"):
        job = replace(compose_job(f"variant={name}"), results=tmp_path)
        for seed in range(2):
            found.append(replace(job, seed=seed))
            made_by = job.code if name == "pca" else "0123456789"
            record = replace(digits_record(name, 8, seed), hash=job.key, config=job.config, code=made_by)
            assert write_record(tmp_path, record) == found[-1].record_path
    return found


def test_a_study_is_reported_in_full(tmp_path: Path, recorded_jobs: list[Job]) -> None:
    lacking = replace(recorded_jobs[0], seed=7)
    command = "zoo report study=tour paths.results=results"
    with redirect_stdout(io.StringIO()) as out:
        files = report_study([*recorded_jobs, lacking], [], "tour", command)
    said = out.getvalue().splitlines()
    assert {path.parent for path in files} == {tmp_path / "tour"}
    assert "1 runs of this study have no record yet" in said
    assert "stale rows: 1; rerun: zoo study tour paths.results=results stale=rerun" in said
    assert said[-len(files) :] == [str(path) for path in files]
    page = files[0].read_text()
    assert "`zoo study tour paths.results=results stale=rerun` runs them again.\n\n- svd\n\n" in page
    assert page.endswith(f"Written from the records by `{command}`.\n")


def test_a_study_without_runs_is_refused() -> None:
    for call in (report_study, check_study):
        with pytest.raises(ZooError, match="study=tour: no runs"):
            call([], [], "tour", "zoo report study=tour")


def test_a_check_finds_every_file_that_differs_from_the_records_and_writes_none(
    tmp_path: Path, recorded_jobs: list[Job]
) -> None:
    study = recorded_jobs, [], "tour", "zoo report study=tour paths.results=results"
    (readme := tmp_path / "README.md").write_text(README.replace("digits | svd, deep_ae", "tour | svd, pca"))
    assert {path.name for path in check_study(*study, [readme])} >= {"benchmark.md", "benchmark.csv", "README.md"}
    with redirect_stdout(io.StringIO()):
        page, table, *figures, _ = report_study(*study, [readme])
    assert check_study(*study, [readme]) == []
    kept = {path: path.read_bytes() for path in (page, table, readme, *figures)}

    def changed(path: Path, content: bytes | None) -> list[Path]:
        path.write_bytes(content) if content is not None else path.unlink()
        found = check_study(*study, [readme])
        assert path.exists() == (content is not None)
        path.write_bytes(kept[path])
        return found

    assert changed(page, kept[page].replace(b"## Reconstruction", b"## Reconstructions")) == [page]
    assert changed(page, kept[page].replace(b"\n- svd\n\nWritten", b"\n- pca\n- svd\n\nWritten")) == []
    assert changed(table, kept[table].replace(b"1", b"2", 1)) == [table]
    assert changed(readme, kept[readme].replace(b"| pca  ", b"| PCA  ", 1)) == [readme]
    overview, costs = (page.parent / f"{name}.png" for name in ("overview", "error_against_cost"))
    assert changed(overview, None) == [overview]
    assert changed(overview, kept[costs]) == [overview]
    training = page.parent / "training_curves.png"
    training.write_bytes(kept[overview])
    assert check_study(*study, [readme]) == [training], "nothing was trained: no such figure belongs there"


def test_a_check_finds_figures_of_other_numbers(tmp_path: Path, recorded_jobs: list[Job]) -> None:
    study = recorded_jobs, [], "tour", "zoo report study=tour"
    with redirect_stdout(io.StringIO()):
        page, table, *_ = report_study(*study)
    record = recorded_jobs[0].recorded()
    assert record is not None
    macs = record.metrics["macs"] | {"value": record.metrics["macs"]["value"] + 64}
    write_record(tmp_path, replace(record, metrics=record.metrics | {"macs": macs}))
    changed = {path.name for path in check_study(*study)}
    assert changed == {page.name, table.name, "error_against_cost.png"}


def test_a_data_set_is_reported_at_one_width(tmp_path: Path) -> None:
    for record in [*table_records(), *sweep_records()]:
        write_record(tmp_path, record)
    with redirect_stdout(io.StringIO()):
        files = report_data(tmp_path, "digits", 8, "zoo report data=digits")
    page = files[0].read_text()
    assert page.startswith("# digits: 360 test images, width 8, seeds 0, 1, 2\n")
    assert "(error_against_width.png)" in page
    with pytest.raises(ZooError, match="no records to report"):
        report_data(tmp_path, "mnist", 8, "zoo report data=mnist")


def test_rows_that_explain_less_than_pca_are_named_in_the_page_and_the_terminal(capsys) -> None:
    records = table_records()
    short = "explains less of the test samples than PCA of the same width (0.50 against 0.90 of the variance): use pca"
    marked = [replace(r, fit=r.fit | {"shortfall": short}) if r.name == "svd" and r.seed == 1 else r for r in records]
    told = "explains less of the test samples than PCA of the same width: svd"
    assert f"## Warnings\n\n- {told}\n" in markdown(marked, COMMAND)
    assert "## Warnings" not in markdown(records, COMMAND)
    print_table(marked)
    assert f"warning {told}\n" in capsys.readouterr().out


def test_neighbours_of_words_are_a_table() -> None:
    curve = {"word": ["orbit", "car"], "neighbours": ["moon earth", "cars bike"]}
    about = table_records()[0].metrics["mse"] | {"curve": curve}
    records = [replace(record, metrics=record.metrics | {"word_neighbours": about}) for record in table_records()[:1]]
    page = markdown([*records, *table_records()[1:]], COMMAND)
    section = page.partition("## Neighbours")[2].partition("##")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line[:1] == "|"]
    assert rows[0] == ["word", "variant", "neighbours"]
    assert rows[2:] == [["orbit", records[0].name, "moon earth"], ["car", records[0].name, "cars bike"]]
    assert "## Neighbours" not in markdown(table_records(), COMMAND)


def test_speeds_are_of_the_machine_that_measured_them() -> None:
    """Two models that were fitted on different machines are comparable when one machine has timed both."""
    about = table_records()[0].metrics["fit_seconds"] | {"group": "throughput"}
    machines = [{"processor": name, "cpu": "AVX2", "gpu": None} for name in ("A", "B")]
    fitted = [
        replace(record, metrics={}, environment={"machine": machine})
        for record, machine in zip(table_records()[:2], machines, strict=True)
    ]
    here = [record.measured({"decode_images_per_second": about}, None, machines[0]) for record in fitted]
    assert ["machine" in record.metrics["decode_images_per_second"] for record in here] == [False, True]
    assert comparable(here) == here
    apart = [here[0], fitted[1].measured({"decode_images_per_second": about}, None, machines[1])]
    assert [record.metrics["decode_images_per_second"]["value"] for record in comparable(apart)] == [None, None]


def changed(record, metric, **entry):
    return replace(record, metrics=record.metrics | {metric: record.metrics[metric] | entry})


def test_values_of_an_earlier_version_stand_beside_no_later_ones() -> None:
    records = [
        changed(record, "sse", version=METRICS["sse"].version - (record.name == "pca")) for record in table_records()
    ]
    (column,) = (each for each in columns(comparable(records)) if each.metric == "sse")
    assert "pca" not in column.cells
    assert len(column.cells) == len({record.name for record in records}) - 1
    page = markdown(comparable(records), COMMAND)
    assert "**sse** of pca: measured by an earlier version of this metric" in page
    assert "An earlier version of the metric" not in page, "the definition is that of the values"
    old = next(record for record in records if record.name == "pca")
    assert comparable([old]) == [old], "alone, it is comparable"
    assert "An earlier version of the metric: Sum over pixels" in markdown([old], COMMAND)


def test_definitions_are_those_of_the_code() -> None:
    records = [changed(record, "sse", definition="as it was said once") for record in table_records()]
    page = markdown(records, COMMAND)
    assert "as it was said once" not in page
    assert METRICS["sse"].definition in page


def test_seconds_stand_in_a_table_only_if_all_rows_have_them() -> None:
    records = table_records()
    busy = changed(records[0], "fit_seconds", value=None, reason="the machine did other work")
    assert "fit_seconds" in markdown(comparable(records), COMMAND)
    page = markdown(comparable([busy, *records[1:]]), COMMAND)
    assert "fit_seconds ↓" not in page
    assert "**fit_seconds** of all rows: left out, as not every run was timed alone and on one kind of machine" in page


def test_a_value_of_some_seeds_says_so() -> None:
    records = table_records()
    name = next(record.name for record in records if sum(other.name == record.name for other in records) == 3)
    first = next(record for record in records if record.name == name)
    rest = [record for record in records if record is not first]
    (column,) = (each for each in columns([changed(first, "sse", value=None), *rest]) if each.metric == "sse")
    assert str(column.cells[name]).endswith(" (2 of 3 seeds)")
    assert sum("seeds)" in str(cell) for cell in column.cells.values()) == 1


@pytest.mark.parametrize(("value", "marked"), [(1e-9, False), (1e9, True)])
def test_a_row_of_which_it_is_not_known_how_it_varies_is_not_compared(value: float, marked: bool) -> None:
    """If it is the best, nothing is bold; else, the best of the others is."""
    records = deepcopy(table_records())
    (column,) = (each for each in columns(records) if each.metric == "sse")
    one = min(column.best)
    for record in records:
        if record.name == one:
            del record.metrics["sse"]["resampled"]
            record.metrics["sse"]["value"] = value
    (column,) = (each for each in columns(records) if each.metric == "sse")
    assert bool(column.best) == marked
    assert one not in column.best


def test_what_intervals_are_over() -> None:
    records = table_records()
    plain = deepcopy(records)
    for record in plain:
        for entry in record.metrics.values():
            entry.pop("resampled", None)
    first = [record for record in records if record.seed == min(other.seed for other in records)]
    assert varied_over(records).startswith("seeds and test samples")
    assert varied_over(first) == "test samples"
    assert varied_over(plain) == "seeds"
    assert varied_over(plain[:1]) == ""
    assert "(of rows with one seed, over test samples alone)" in varied_over(
        [*(record for record in records if record.name != records[0].name), records[0]]
    )


def test_seconds_of_two_machines_stand_in_no_table(tmp_path) -> None:
    """Of one kind of machine they do; parameters always."""
    one, other = ({"machine": {"processor": name, "cpu": "AVX2", "gpu": None}} for name in ("A", "B"))
    same = [replace(record, environment=one) for record in table_records()]
    mixed = [*same[:-1], replace(same[-1], environment=other)]
    for records, expected in ((same, True), (mixed, False)):
        write_report(records, tmp_path, COMMAND)
        page, table = (tmp_path / "benchmark.md").read_text(), (tmp_path / "benchmark.csv").read_text()
        assert ("fit_seconds ↓" in page) == expected
        assert (pd.read_csv(io.StringIO(table))["fit_seconds"].notna().all()) == expected
        texts = page, table
        assert all("parameters" in text for text in texts)
        if expected:
            assert "fit_seconds" in excerpt(records, ["pca"], ["fit_seconds"])
        else:
            with pytest.raises(ZooError, match="the quoted table names fit_seconds, which the study does not have"):
                excerpt(records, ["pca"], ["fit_seconds"])
