"""The benchmark of speed: its arithmetic by hand, and its arms, which have to do the same work."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from joblib import Memory
from omegaconf import OmegaConf
from torch.utils.flop_counter import FlopCounterMode

from experiments.speed import growth, parts
from experiments.speed.__main__ import PARTS, measure_parts, settings
from experiments.speed.arms import fit_bare, fit_pythae, fit_zoo, fresh, load, multiply, the_same
from experiments.speed.bench import Bench
from experiments.speed.measure import Findings, Row, Sample, exponent, interleaved, ratio
from experiments.speed.report import HEADINGS, markdown, number
from zoo.errors import ZooError

IMAGES, EPOCHS = 1200, 5  # of fewer, the zoo makes smaller batches, see `steps_batch`
# all images in one batch, so that their order makes no difference
WHOLE = ("hidden=[32]", f"budget.batch_size={IMAGES}", f"budget.epochs={EPOCHS}", "schedule=constant")


def row(arm: str, *seconds: float) -> Row:
    return Row("", arm, [Sample(s, 2 * s) for s in seconds])


def test_arms_run_in_turn():
    calls = []

    def arm(name: str):
        return lambda repeat: calls.append((name, repeat)) or Sample(repeat, 0.0)

    rows = interleaved("both", {"a": arm("a"), "b": arm("b")}, 3)
    assert calls == [("a", 0), ("b", 0), ("a", 1), ("b", 1), ("a", 2), ("b", 2)]
    assert [sample.seconds for sample in rows["b"].samples] == [0, 1, 2]


def test_a_ratio_is_the_median_of_those_of_neighbouring_runs():
    assert ratio(row("a", 1.0, 30.0, 3.0), row("b", 1.0, 10.0, 4.0)) == 1.0  # of 1, 3 and 0.75


@pytest.mark.parametrize("power", [0.0, 1.0, 2.0])
def test_exponent_of_a_power_law(power):
    assert exponent([10, 20, 80], [3 * n**power for n in (10, 20, 80)]) == pytest.approx(power, abs=1e-12)


def test_the_page_gives_ratios_times_and_machines():
    samples = [Sample(1.0, 2.0, {"sse": 3.0}), Sample(3.0, 2.0, {"sse": 4.0}), Sample(2.0, 2.0, {"sse": 3.5})]
    found = Findings([Row("five epochs", "zoo", samples)], {"zoo / other": 1.5}, ["a note"]).as_json()
    about = {"machine": {"processor": "p", "cpu": "c"}, "versions": {"torch": "2"}}
    part = {"part": "loop", "environment": about, **found}
    page = markdown([part])
    assert "- zoo / other: **1.5**" in page
    assert "| five epochs  | zoo   |      3 |         2 |             2 |           3.5 (3 to 4) |" in page
    assert "- a note\n- measured on p, c; torch 2\n" in page
    lent = {"part": "gpu", "environment": about | {"machine": {"gpu": "g", "processor": "q", "cpu": "c"}}}
    assert "measured on g, q, c; torch 2" in markdown([part | lent])
    assert [number(n) for n in (float("nan"), 0.12345, 12345.6, float("inf"))] == ["", "0.123", "12,346", "inf"]


def test_what_was_measured_is_kept(tmp_path, monkeypatch, capsys):
    counted = []
    monkeypatch.setitem(PARTS, "loop", lambda bench: counted.append(bench.sizes.loop) or Findings(ratios={"g": 1.0}))
    cfg = settings(["parts=[loop]", f"paths.results={tmp_path}", f"paths.cache={tmp_path / 'cache'}"])
    measure_parts(cfg)
    measure_parts(cfg)
    assert len(counted) == 1
    assert json.loads((tmp_path / "speed" / "loop.json").read_text())["ratios"] == {"g": 1.0}
    assert "measured before (delete" in " ".join(capsys.readouterr().out.split())


def test_a_part_or_setting_that_does_not_exist_is_named():
    with pytest.raises(ZooError, match=r"parts=\['loops'\]: no such part of the benchmark; choose of loop, gpu"):
        settings(["parts=[loops]"])
    with pytest.raises(ZooError, match="quick=true: "):
        settings(["quick=true"])


def test_without_a_gpu_its_part_is_refused(bench, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ZooError, match="has no GPU"):
        parts.gpu(bench())


@pytest.fixture
def bench(tmp_path, monkeypatch):
    """Sizes -> what a part is given; the pool and the workers are this process."""
    monkeypatch.setattr(parts, "pooled", lambda function, calls: [function(*call) for call in calls])

    def here(function, *arguments, **named):
        return function(*arguments, **named)

    def made(**sizes):
        return Bench(OmegaConf.create({"paths": {"data": "data"}} | sizes), here, here, Memory(tmp_path, verbose=0))

    return made


def test_recipes_get_equal_time_and_one_that_diverges_is_a_row(bench):
    sizes = {
        "seeds": 2,
        "finalists": 1,
        "images": 1200,
        "timed": 300,
        "networks": {"linear": {"seconds": 0.2, "said": ["variant=linear_ae"]}},
        "more": {},
        "recipes": {"AdamW": ["optimizer=adamw"], "wild": ["optimizer=sgd", "optimizer.lr=1e9"]},
        "sets": {"digits": {"share": 1, "batch_size": 64, "recipes": None}},
    }
    plain, wild = parts.recipe(bench(recipe=sizes)).rows
    assert plain.fact("epochs") >= 1
    assert 0.1 <= plain.samples[0].seconds <= 0.4 or plain.fact("epochs") == 1
    assert plain.samples[0].facts["sse"] != plain.samples[1].facts["sse"]
    assert wild.fact("sse") == float("inf")
    assert (len(plain.samples), len(wild.samples)) == (2, 1), "the best have all seeds"


@pytest.mark.slow
def test_a_command_on_a_large_array_is_timed_with_its_memory(bench):
    sizes = {"images": [300, 600], "side": 8, "variants": {"pca": []}}
    found = growth.growth(bench(growth=sizes))
    assert [(row.comparison, row.arm) for row in found.rows] == [
        ("300 images, 1.9e-05 GB", "pca"),
        ("600 images, 3.9e-05 GB", "pca"),
    ]
    for row in found.rows:
        assert 100 < row.fact("mib") < 4_000
        assert 0.5 < row.fact("explained") < 1
    assert found.ratios.keys() == {"pca: exponent of the CPU seconds", "pca: most memory over least"}
    with pytest.raises(ZooError, match="no such variant"):
        growth.growth(bench(growth=sizes | {"variants": {"none": []}}))


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux says what memory a process has")
def test_a_process_that_becomes_another_program_counts_once():
    code = "import os, time; held = bytearray(b'x' * 10**8); os.fork(); print(flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, start_new_session=True) as process:
        try:
            assert process.stdout is not None
            assert [process.stdout.readline(), process.stdout.readline()] == [b"\n", b"\n"]
            assert 10**8 / 2**20 < growth.anonymous(process.pid) < 150
        finally:
            os.killpg(process.pid, signal.SIGKILL)


@pytest.mark.slow
def test_the_memory_of_a_method_is_measured_on_two_arrays(bench):
    sizes = {"images": [300, 600], "side": 8, "said": ["width=4"], "variants": ["pca"], "more": {"pca": ["seed=1"]}}
    (row,) = growth.memory(bench(memory=sizes)).rows
    assert (row.comparison, row.arm) == ("300 and 600 images of 8x8 bytes", "pca seed=1")
    assert 100 < row.fact("mib") < 4_000
    assert abs(row.fact("grown")) < 100


def test_what_the_docs_say_about_memory_is_what_was_measured(repository):
    text = (repository / "docs" / "your-own-data.md").read_text()
    found = {}
    for part in ("growth", "memory"):
        rows = json.loads((repository / "results" / "speed" / f"{part}.json").read_text())["rows"]
        found |= {(row["comparison"], row["arm"].split()[0]): row["facts"]["mib"] for row in rows}
    limit = 1024 * float(re.search(r"at most ([\d.]+) GiB of memory", text)[1])
    assert limit - 103 < max(found.values()) <= limit
    of_methods = {variant: mib for (images, variant), mib in found.items() if " and " in images}
    assert set(sorted(of_methods, key=of_methods.get)[-2:]) == set(
        re.findall(r"`(\w+)` and `(\w+)` take most", text)[0]
    )
    variants = ("pca", "streaming_pca", "deep_ae")
    grown = (found["20,000,000 images, 20 GB", v] - found["4,000,000 images, 4.1 GB", v] for v in variants)
    assert "at most twelve bytes for each sample" in " ".join(text.split())
    assert max(grown) * 2**20 / 16e6 < 12.5


def test_every_part_has_sizes_and_a_heading():
    assert settings([]).keys() >= PARTS.keys() == HEADINGS.keys()


def test_images_beyond_the_set_are_its_own_again(compose_job):
    data = load(compose_job("variant=deep_ae"), 3000).source
    n = load(compose_job("variant=deep_ae"), 10).source
    assert len(data.train) == 3000
    assert data.train.pixels[1437].equal(n.train.pixels[0])  # the digits have 1,437 training images
    assert torch.equal(data.test[:10], n.test[:])
    assert (len(data.test), len(n.test)) == (360, 10)


@pytest.mark.parametrize("network", ["deep", "conv"])
def test_the_bare_loop_does_what_the_zoo_does(compose_job, network):
    job = compose_job("variant=deep_ae", f"network={network}", *WHOLE)
    zoo, bare = fit_zoo(job, IMAGES, 0), fit_bare(job, IMAGES, 0)
    assert bare.facts["sse"] == pytest.approx(zoo.facts["sse"], rel=1e-4)
    longer = fit_bare(compose_job("variant=deep_ae", f"network={network}", *WHOLE, "budget.epochs=1"), IMAGES, 0)
    assert longer.facts["sse"] > 1.01 * bare.facts["sse"]


def test_the_bare_loop_fits_the_variational_objective(compose_job):
    job = compose_job("variant=vae", "objective=elbo", "likelihood.std=1", *WHOLE, "budget.epochs=40")
    assert fit_bare(job, IMAGES, 0).facts["sse"] == pytest.approx(fit_zoo(job, IMAGES, 0).facts["sse"], rel=0.1)


@pytest.mark.parametrize("said", [["variant=deep_ae"], ["variant=vae"], ["variant=conv_ae", "network.filters=[4,8]"]])
def test_the_products_alone_are_all_products_of_the_fit(compose_job, said):
    alone = []
    for epochs in (1, 3):
        job = compose_job(*said, "hidden=[32]", "budget.batch_size=64", f"budget.epochs={epochs}")
        with FlopCounterMode(display=False) as counter:
            multiply(job, 200, 0)
        alone.append(counter.get_total_flops())
    data = load(job, 200)
    model = fresh(job, data, 0)
    with FlopCounterMode(display=False) as fitted:
        for _ in range(2):
            for x in data.train.batches(64):
                model(x).raw.sum().backward()
    assert alone[1] - alone[0] == fitted.get_total_flops() > 0


@pytest.mark.parametrize("network", ["deep", "conv"])
def test_pythae_does_what_the_zoo_does(compose_job, network):
    pytest.importorskip("pythae")
    job = compose_job("variant=deep_ae", f"network={network}", "optimizer=adamw", "optimizer.lr=1e-3", *WHOLE)
    theirs = fit_pythae(job, IMAGES, 0, the_same(job))
    assert theirs.facts["sse"] == pytest.approx(fit_zoo(job, IMAGES, 0).facts["sse"], rel=0.05)


@pytest.mark.slow
def test_word_embeddings_are_timed_with_their_memory(bench, corpus):
    said = ["data=words", f"data.source.path={corpus}", "data.source.vocabulary=300", "width=4"]
    sizes = {"said": said, "variants": {"svd": ["fit.power=0"]}}
    (row,) = growth.words(bench(words=sizes)).rows
    assert row.arm == " ".join(["variant=svd", *said, "fit.power=0"])
    assert 100 < row.fact("mib") < 4_000
    assert row.samples[0].seconds > 0
