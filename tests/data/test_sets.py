"""Every yaml in conf/data/ names a source of the zoo with settings that it has, and a width and budget for all."""

from inspect import signature
from pathlib import Path

import pytest

from experiments.models import make
from zoo.data import sources

SETS = sorted(path.stem for path in (Path(__file__).parents[2] / "conf" / "data").glob("*.yaml"))


@pytest.mark.parametrize("name", SETS)
def test_a_set_is_a_source_with_its_own_width_and_budget(compose_job, name):
    job = compose_job(f"data={name}", "variant=deep_ae")
    source = make(job.axes["data"])["source"]
    assert source.func is getattr(sources, source.func.__name__)
    signature(source.func).bind(**source.keywords)
    assert job.width >= 1
    assert job.axes["fit"]["batch_size"] >= 1


def test_no_source_without_a_set():
    assert {name.removesuffix("_whitened") for name in SETS} == set(sources.__all__)


def test_whitened_patches_differ_from_patches_by_whitening_alone(compose_job):
    plain, white = (compose_job(f"data={name}").axes["data"] for name in ("patches", "patches_whitened"))
    assert white["source"].pop("whiten") is True
    assert plain["source"].pop("whiten") is False
    assert white == plain
