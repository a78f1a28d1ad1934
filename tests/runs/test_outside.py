"""Another data set as outliers, through the real command line."""

from __future__ import annotations

import pytest

from zoo.errors import ZooError
from zoo.evaluation.evaluator import in_groups
from zoo.runs.compose import composed, composing
from zoo.runs.job import Job
from zoo.runs.outside import outside_images, outside_node
from zoo.runs.records import read_record
from zoo.runs.rescore import partner
from zoo.runs.single import fit_together

PATCHES = (
    *("variant=pca", "data=patches", "data.source.size=8", "data.source.n_train=300", "data.source.n_test=80"),
    *("width=8", "trainer.progress=false"),
)
OTHER = "outlier_auroc_other"


def job_of(*overrides):
    with composing(overrides) as given:
        return Job.of(composed("config", given))


@pytest.mark.parametrize(("data", "other"), [("mnist", "fashion_mnist"), ("fashion_mnist", "mnist"), ("digits", None)])
def test_the_option_file_of_a_data_set_names_its_partner(data, other):
    found = job_of(f"data={data}").outliers
    assert (found and found["option"]) == other
    assert partner({"option": data}, ()) == other


def test_the_command_line_names_another_one_or_none():
    assert job_of("data=mnist", "evaluation.outliers=cifar10").outliers["option"] == "cifar10"
    assert job_of("data=mnist", "evaluation=outliers", "evaluation.outliers=null").outliers is None
    assert job_of("paths.data=there", "evaluation.outliers=mnist").outliers["source"]["root"] == "there"
    assert job_of("data=mnist").key == job_of("data=mnist", "evaluation.outliers=digits").key
    with pytest.raises(ZooError, match=r"^evaluation\.outliers=digts: no such data set; did you mean digits\?$"):
        job_of("evaluation.outliers=digts")


def test_it_is_read_only_for_metrics_of_it():
    node, data = outside_node("digits", {}, ()), job_of("data=digits").make("data")
    assert outside_images(node, data, ["sse"], ()) == outside_images(None, data, in_groups(["outliers"]), ()) == {}
    found = outside_images(node, data, ["sse", OTHER], ())
    assert found["digits"].digest() == data.test.digest()


def test_a_run_measures_digits_as_outliers_of_patches_and_measures_them_again_only_if_another_set_is_asked_for(
    command, zoo, tmp_path
):
    outcome = command(*PATCHES, "evaluation=outliers", "evaluation.outliers=digits")
    assert outcome.status == 0, outcome.said
    path = next(tmp_path.rglob("*-s0.json"))
    record = read_record(path)
    assert record.metrics[OTHER]["value"] > 0.8
    assert record.metrics[OTHER]["settings"] == {"outside": ["digits"]}
    stamp = path.stat().st_mtime_ns
    for same in ("evaluation.outliers=digits", "evaluation.outliers=null"):
        assert command(*PATCHES, "evaluation=outliers", same).status == 0
        assert zoo("evaluate", f"run={path}", "evaluation=outliers", same).said.strip().endswith("nothing lacks")
    assert path.stat().st_mtime_ns == stamp
    again = ("evaluate", f"run={path}", "evaluation=outliers", "again=true", "trainer.progress=false")
    assert zoo(*again, "evaluation.outliers=digits").status == 0
    assert read_record(path) == record


def test_what_cannot_be_used_is_told_before_the_fit(command, left):
    outcome = command(*PATCHES, "evaluation=outliers", "evaluation.outliers=wine")
    assert outcome.status == 2
    told = "error: evaluation.outliers=wine: its samples are 1x1x13, and those of patches 1x8x8; choose a data set of"
    assert told in outcome.said
    outcome = command(*PATCHES, "evaluation=outliers", "evaluation.outliers=table")
    assert "error: evaluation.outliers=table: data=table reads a file of your own" in outcome.said
    assert left() == []


def test_a_joint_fit_of_seeds_tells_it_before_the_fit(left):
    overrides = (*PATCHES[1:], "variant=deep_ae", "evaluation=outliers", "evaluation.outliers=wine")
    jobs = [job_of(*overrides, f"seed={seed}") for seed in (0, 1)]
    with pytest.raises(ZooError, match=r"^evaluation\.outliers=wine: its samples are 1x1x13"):
        fit_together(jobs)
    assert left() == []
