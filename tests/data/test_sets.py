"""Option files of data sets: each describes a source of the zoo, with a width and a budget."""

from inspect import signature
from pkgutil import resolve_name

import pytest

from zoo.data import sources
from zoo.options import names, template

SETS = names("data")


@pytest.mark.parametrize("name", SETS)
def test_a_set_has_a_source_a_width_and_a_budget(compose_job, name):
    job = compose_job(f"data={name}", "variant=deep_ae")
    given = job.axes["data"]["source"]
    source = resolve_name(template("data", name)["source"]["_target_"])
    signature(source).bind(**given)
    assert set(signature(source).parameters) == set(given), "every setting is in the option file"
    assert job.width >= 1
    assert job.axes["fit"]["batch_size"] >= 1


def test_every_source_has_a_set():
    variations = {name for name in SETS if name.rpartition("_")[2] in ("whitened", "small", "counts")}
    assert {*SETS} - variations == set(sources.__all__)
    assert {name.rpartition("_")[0] for name in variations} <= set(sources.__all__)


def test_whitened_patches_differ_from_patches_by_whitening_only(compose_job):
    plain, white = (compose_job(f"data={name}").axes["data"] for name in ("patches", "patches_whitened"))
    assert white["source"].pop("whiten") is True
    assert plain["source"].pop("whiten") is False
    assert white | {"option": "patches"} == plain


def test_small_sprites_differ_from_sprites_by_their_side_only(compose_job):
    large, small = (compose_job(f"data={name}").axes["data"] for name in ("sprites", "sprites_small"))
    assert (large["source"].pop("side"), small["source"].pop("side")) == (64, 16)
    assert small | {"option": "sprites"} == large
