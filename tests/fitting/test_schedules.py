import math
from itertools import pairwise

import pytest
import torch

from zoo.errors import ZooError
from zoo.fitting.schedules import burda, constant, cosine, one_cycle


def rates(schedule, steps, lr=0.5, **optimizer):
    """The rate of each step."""
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=lr, **optimizer)
    scheduler, found = schedule(optimiser, steps), []
    for _ in range(steps):
        found.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        scheduler.step()
    return found, optimiser


def test_constant():
    assert rates(constant, 7)[0] == [0.5] * 7


def test_cosine_by_hand():
    found, _ = rates(cosine, 40)
    assert found == pytest.approx([0.25 * (1 + math.cos(math.pi * step / 40)) for step in range(40)])


def test_one_cycle_rises_to_the_rate_and_falls_to_zero():
    found, optimiser = rates(one_cycle, 100, momentum=0.9)
    peak = found.index(max(found))
    assert peak == pytest.approx(30, abs=1)
    assert max(found) == pytest.approx(0.5)
    assert all(before < after for before, after in pairwise(found[: peak + 1]))
    assert all(before > after for before, after in pairwise(found[peak:]))
    assert found[0] < 0.1
    assert found[-1] < 1e-4
    assert optimiser.param_groups[0]["momentum"] == 0.9


@pytest.mark.parametrize("warmup", [0.1, 0.6])
def test_one_cycle_has_its_maximum_at_the_end_of_the_warm_up(warmup):
    found, _ = rates(lambda optimizer, steps: one_cycle(optimizer, steps, warmup), 200)
    assert found.index(max(found)) == pytest.approx(200 * warmup, abs=1)


@pytest.mark.parametrize("schedule", [constant, cosine, one_cycle, burda])
@pytest.mark.parametrize("steps", [1, 2, 3, 10])
def test_fits_of_few_steps(schedule, steps):
    found, _ = rates(schedule, steps)
    assert all(0 <= rate <= 0.5 + 1e-9 for rate in found)


def test_burda_has_the_stages_of_the_paper():
    """3^i epochs at a rate of 10^(-i/7), i = 0..7, of two steps each."""
    found, _ = rates(burda, 2 * 3280)
    assert found == pytest.approx([0.5 * 10 ** (-i / 7) for i in range(8) for _ in range(2 * 3**i)])


@pytest.mark.parametrize("warmup", [5, 1.0, -0.1, math.nan, math.inf, True])
def test_a_warm_up_out_of_range_is_refused(warmup):
    with pytest.raises(ZooError, match=rf"schedule\.warmup={warmup}: a fraction of the steps"):
        rates(lambda optimizer, steps: one_cycle(optimizer, steps, warmup), 10)


def test_without_a_warm_up_the_rate_falls_from_the_start():
    found, _ = rates(lambda optimizer, steps: one_cycle(optimizer, steps, 0), 10)
    assert found == sorted(found, reverse=True)
