"""The page's JavaScript computes what PyTorch does, in a JavaScript engine without a browser."""

from __future__ import annotations

import json
import re

import pytest
import torch

from zoo.errors import ZooError
from zoo.model.io import build_model, read_model
from zoo.report.page.assemble import as_text, source
from zoo.report.page.portable import float16, portable

py_mini_racer = pytest.importorskip("py_mini_racer", reason="the JavaScript engine mini-racer is not installed")
NEAR = 1e-3  # of pixels in [0, 1], and of the range of a code


@pytest.fixture(scope="module")
def engine():
    found = py_mini_racer.MiniRacer()
    found.eval(source("core.js"))
    return found


def as_javascript(data: object) -> str:
    """Data as an expression, with bytes as `zoo.bytes` of their text."""
    marked = json.dumps(data, default=lambda value: f"$bytes:{as_text(value)}")
    return re.sub(r'"\$bytes:([^"]*)"', r'zoo.bytes("\1")', marked)


def computed(engine, half: str, x: torch.Tensor) -> torch.Tensor:
    rows = engine.execute(
        f"JSON.stringify({json.dumps(x.tolist())}.map((row) => Array.from(model.{half}(Float32Array.from(row)))))"
    )
    return torch.tensor(json.loads(rows))


@pytest.mark.parametrize("place", range(8))
def test_encoders_and_decoders_are_those_of_pytorch(engine, page_jobs, place):
    job = [*page_jobs[0], *page_jobs[1]][place]
    model = read_model(job.model_path).model
    x = job.make("data").test[:20]
    engine.eval(f"var model = zoo.model({as_javascript(portable(model))})")
    with torch.no_grad():
        codes = model.encode(x)
        images = model.decode(codes)
    spread = float(codes.max() - codes.min())
    found = computed(engine, "encode", x.flatten(1))
    if job.variant == "vq_vae":  # an output of the encoder that lies between two entries may go to either
        assert ((found - codes).abs().amax(1) < NEAR * spread).float().mean() > 0.9
    else:
        assert torch.allclose(found, codes, atol=NEAR * spread, rtol=0)
    assert torch.allclose(computed(engine, "decode", codes), images.flatten(1), atol=NEAR, rtol=0)


@pytest.mark.parametrize("variant", ["deep_ae", "vae"])
def test_networks_as_large_as_those_of_the_page_are_those_of_pytorch(engine, compose_job, variant):
    """Sums over 784 pixels in half precision."""
    model = build_model(compose_job(f"variant={variant}", "hidden=[64,32]", "width=2").config, (1, 28, 28), seed=0)
    x = torch.rand(20, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    engine.eval(f"var model = zoo.model({as_javascript(portable(model.eval()))})")
    with torch.no_grad():
        codes = model.encode(x)
        images = model.decode(codes)
    spread = max(1.0, float(codes.max() - codes.min()))
    assert torch.allclose(computed(engine, "encode", x.flatten(1)), codes, atol=NEAR * spread, rtol=0)
    assert torch.allclose(computed(engine, "decode", codes), images.flatten(1), atol=NEAR, rtol=0)


@pytest.mark.parametrize("length", [*range(10), 1000])
def test_bytes_are_read_from_the_text_that_holds_them(engine, length):
    data = bytes(torch.randint(256, (length,), generator=torch.Generator().manual_seed(length)).tolist())
    text = as_text(data)
    assert not set(text) & set("<\"'\\")
    assert bytes(json.loads(engine.execute(f"JSON.stringify(Array.from(zoo.bytes('{text}')))"))) == data


@pytest.mark.parametrize(
    ("ticks", "texts"),
    [
        ([16_000, 16_500, 17_000, 17_500], ["16K", "16.5K", "17K", "17.5K"]),
        ([1.2e6, 1.25e6, 1.3e6], ["1.2M", "1.25M", "1.3M"]),
        ([105.2, 105.4, 105.60000000000001], ["105.2", "105.4", "105.6"]),
        ([1645, 1645.2, 1645.4], ["1,645", "1,645.2", "1,645.4"]),
        ([-0.5, 0, 0.5], ["-0.5", "0", "0.5"]),
        ([1e-14, 1e-5, 2e-4, 0.1, 10], ["1e-14", "1e-5", "2e-4", "0.1", "10"]),
        ([1e-4, 1.5e-4, 2e-4], ["1e-4", "1.5e-4", "2e-4"]),
        ([7], ["7"]),
    ],
)
def test_ticks_are_told_apart(engine, ticks, texts):
    told = json.loads(engine.execute(f"JSON.stringify({ticks}.map((tick) => zoo.tick(tick, {ticks})))"))
    assert told == texts


def test_half_precision_numbers_are_read_exactly(engine):
    numbers = torch.tensor([0.0, -0.0, 1.0, -2.5, 65504.0, 6.1e-5, 6e-8, -3.1e-6, 0.333251953125]).half()
    text = as_text(float16([numbers]))
    found = json.loads(engine.execute(f"JSON.stringify(Array.from(zoo.floats(zoo.bytes('{text}'))))"))
    assert found == numbers.float().tolist()


def test_a_drawing_is_scaled_to_its_box_and_centred_by_its_mass(engine):
    engine.eval(
        """
        var ink = new Float32Array(100 * 100);
        for (let y = 5; y < 65; y++) for (let x = 60; x < 70; x++) ink[y * 100 + x] = 1;
        var image = zoo.centred(ink, 100, 28, 28, 20);
        """
    )
    image = torch.tensor(json.loads(engine.execute("JSON.stringify(Array.from(image))"))).view(28, 28)
    rows, columns = image.sum(1), image.sum(0)
    assert (rows > 0.01).sum() in (20, 21, 22)
    centre = torch.arange(28) + 0.5
    assert float((rows * centre).sum() / rows.sum()) == pytest.approx(14, abs=0.3)
    assert float((columns * centre).sum() / columns.sum()) == pytest.approx(14, abs=0.3)
    assert (
        json.loads(engine.execute("JSON.stringify(Array.from(zoo.centred(new Float32Array(16), 4, 2, 2, 1)))"))
        == [0] * 4
    )


def test_a_part_without_javascript_is_refused(compose_job):
    job = compose_job("variant=conv_ae")
    with pytest.raises(ZooError, match="the page cannot compute"):
        portable(build_model(job.config, (1, 8, 8), 0))
