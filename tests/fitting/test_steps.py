"""How many steps are taken by networks that are fitted on the side depends on how many samples there are."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import torch
from torch.optim.optimizer import register_optimizer_step_post_hook

from zoo.data.images import Images
from zoo.errors import ZooError
from zoo.evaluation.measures.feature_network import BATCH, EPOCHS, STEPS, train_classifier
from zoo.model.bottlenecks.lfq import LFQ
from zoo.options import build, template

DENSITIES = ("flow", "flow_matching", "two_stage_vae", "autoregressive")
TINY = {name: {"hidden": 4} for name in DENSITIES[:-1]} | {"autoregressive": {"units": 4}}
SHARE = 0.9  # of the codes are fitted to, the others held out


@dataclass
class Steps:
    """How many steps were taken by any optimiser of torch."""

    taken: int = 0

    def count(self, *_: object) -> None:
        self.taken += 1


@pytest.fixture
def steps() -> Iterator[Steps]:
    found = Steps()
    hook = register_optimizer_step_post_hook(found.count)
    yield found
    hook.remove()


def fit(name: str, n: int, **settings: float) -> None:
    """A density of n codes, with a network of few units."""
    z = torch.randn(n, 2, generator=torch.Generator().manual_seed(0))
    density = build("density", {"option": name, **TINY[name], **settings})
    if name == "autoregressive":
        density.bind_codebook(LFQ(2, 1))
        z = z.sign()
    density.fit(z)


def images(n: int) -> Images:
    """Grey images of four pixels, in two classes."""
    pixels = torch.randint(0, 256, (n, 1, 2, 2), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    return Images(pixels, torch.arange(n) % 2)


@pytest.mark.parametrize("name", DENSITIES)
@pytest.mark.parametrize("n", [10, 100])
def test_a_density_of_few_codes_takes_one_step_a_pass_and_no_more_than_its_passes(steps, name, n):
    """By the settings of its file: one batch holds all the codes."""
    fit(name, n)
    defaults = template("density", name)
    assert n < defaults["batch_size"]
    assert steps.taken == defaults["epochs"] < defaults["steps"]


@pytest.mark.parametrize("name", DENSITIES)
def test_a_density_of_many_codes_takes_so_many_steps_and_no_more(steps, name):
    fit(name, 3000, batch_size=16, epochs=2, steps=40)
    assert steps.taken == 40 < 2 * 3000 * SHARE / 16


@pytest.mark.parametrize("name", DENSITIES)
@pytest.mark.parametrize("n", [30, 31, 200])
def test_in_between_a_density_passes_over_the_codes_so_many_times(steps, name, n):
    fit(name, n, batch_size=16, epochs=3, steps=1000)
    assert steps.taken == 3 * math.ceil(math.floor(SHARE * n) / 16)


@pytest.mark.parametrize("name", DENSITIES)
def test_five_codes_are_refused_before_the_first_step(steps, name):
    with pytest.raises(ZooError, match="at least 10 codes, not 5"):
        fit(name, 5)
    assert steps.taken == 0


@pytest.mark.parametrize("n", [2, 5, BATCH])
def test_the_feature_network_of_few_images_takes_so_many_steps_and_no_more(steps, n):
    """One batch holds them all, so that each step is a pass over them."""
    train_classifier(images(n), 2)
    assert steps.taken == STEPS


@pytest.mark.parametrize("n", [BATCH + 1, 1000])
def test_the_feature_network_passes_over_some_images_until_it_has_read_enough_of_them(steps, n):
    train_classifier(images(n), 2)
    passes, rest = divmod(steps.taken, math.ceil(n / BATCH))
    assert rest == 0
    assert (passes - 1) * n < STEPS * BATCH <= passes * n


def test_the_feature_network_passes_over_many_images_three_times(steps):
    n = STEPS * BATCH // EPOCHS + BATCH  # one batch more than the least number of steps needs
    train_classifier(images(n), 2)
    assert steps.taken == EPOCHS * n / BATCH
