"""Every number of a part has a range: what is outside, not finite, or a truth value is refused in one sentence."""

import math
import re
from functools import partial

import pytest

from zoo.checks import check_count, check_positive
from zoo.errors import ZooError
from zoo.fitting.ica import Ica
from zoo.model.bottlenecks.batch_topk import BatchTopK
from zoo.model.bottlenecks.diagonal_posterior import DiagonalPosterior
from zoo.model.bottlenecks.fsq import FSQ
from zoo.model.bottlenecks.gumbel import Gumbel
from zoo.model.bottlenecks.ladder import Ladder
from zoo.model.bottlenecks.lfq import LFQ
from zoo.model.bottlenecks.matched import Matched
from zoo.model.bottlenecks.nested_dropout import NestedDropout
from zoo.model.bottlenecks.penalised import Gated, JumpReLU, L1Rule, RateKLRule
from zoo.model.bottlenecks.pointwise import Pointwise
from zoo.model.bottlenecks.sparse import Sparse
from zoo.model.bottlenecks.topk import TopK
from zoo.model.bottlenecks.vq import VQ
from zoo.model.bottlenecks.winner_take_all import WinnerTakeAll
from zoo.model.corruptions import (
    BlockMask,
    GaussianNoise,
    Paper,
    PatchMask,
    Pixelate,
    PixelMask,
    SaltAndPepper,
    Stain,
)
from zoo.model.likelihoods import GaussianLikelihood, OptimalGaussianLikelihood
from zoo.model.networks.conv import conv
from zoo.model.networks.conv_dictionary import conv_dictionary
from zoo.model.networks.dictionary import pursuit
from zoo.model.networks.fully_conv import fully_conv
from zoo.model.networks.mlp import mlp
from zoo.model.networks.vit import vit
from zoo.model.priors.flow import FlowPrior
from zoo.model.priors.mixture import MixturePrior
from zoo.model.priors.standard import LaplacePrior, NormalPrior
from zoo.model.priors.vamp import VampPrior

# kinds of numbers, and values that are none
NOT_FINITE = [math.nan, math.inf, -math.inf, True]
COUNT = [*NOT_FINITE, 0, -1, 1.5]  # 1, 2, ...
COUNT_OR_ZERO = [*NOT_FINITE, -1, 1.5]
COUNTS = [[value] for value in COUNT]
POSITIVE = [*NOT_FINITE, 0.0, -1.0]
FROM_ZERO = [*NOT_FINITE, -0.1]
SHARE = [*FROM_ZERO, 1.1]  # [0, 1]
LEVELS = [[value, value] for value in SHARE]


def network(function, **defaults):
    return partial(function, (1, 8, 8), 8, 8, 1, **defaults)


def rule(kind):
    return partial(kind, units=8, k=2)


PARTS = [
    (partial(BatchTopK, units=8, k=2), {"units": COUNT, "k": [*COUNT, 9]}),
    (rule(TopK), {"units": COUNT, "k": [*COUNT, 9]}),
    (rule(L1Rule), {"units": COUNT, "k": [*COUNT, 9]}),
    (rule(RateKLRule), {"units": COUNT, "k": [*COUNT, 9]}),
    (rule(Gated), {"units": COUNT, "k": [*COUNT, 9]}),
    (rule(JumpReLU), {"units": COUNT, "k": [*COUNT, 9], "threshold": POSITIVE, "bandwidth": POSITIVE}),
    (partial(WinnerTakeAll, units=8, k=1, maps=4), {"units": COUNT, "k": [*COUNT, 5], "maps": [*COUNT, 3]}),
    (partial(Sparse, 8, 2, TopK), {"dead_after": COUNT, "prefixes": [*COUNTS, [8]]}),
    (DiagonalPosterior, {"width": COUNT}),
    (partial(DiagonalPosterior, 4), {"samples": COUNT}),
    (partial(Ladder, width=4), {"width": COUNT, "top": COUNT, "hidden": COUNT}),
    (NestedDropout, {"width": COUNT}),
    (Pointwise, {"width": COUNT}),
    (Matched, {"width": COUNT}),
    (partial(FSQ, positions=2), {"positions": COUNT, "levels": [*COUNTS, [1], []]}),
    (partial(LFQ, positions=2), {"positions": COUNT, "bits": COUNT}),
    (partial(Gumbel, positions=2), {"positions": COUNT, "categories": COUNT, "temperature": POSITIVE}),
    (
        partial(VQ, positions=2, dimensions=4),
        dict.fromkeys(("positions", "dimensions", "codebook_size", "stages"), COUNT) | {"decay": [*FROM_ZERO, 1.0]},
    ),
    (partial(FlowPrior, width=4), {"width": COUNT, "layers": COUNT, "hidden": COUNT}),
    (partial(MixturePrior, width=4), {"width": COUNT, "components": COUNT}),
    (partial(VampPrior, width=4), {"width": COUNT, "components": COUNT}),
    (NormalPrior, {"width": COUNT}),
    (LaplacePrior, {"width": COUNT}),
    (GaussianLikelihood, {"std": POSITIVE}),
    (OptimalGaussianLikelihood, {"momentum": [*POSITIVE, 1.1]}),
    (Ica, {"max_iterations": COUNT, "tolerance": POSITIVE}),
    (network(mlp), {"hidden": COUNTS}),
    (network(conv), {"filters": [*COUNTS, []], "hidden": COUNTS, "blocks": COUNT_OR_ZERO}),
    (network(fully_conv), {"filters": [*COUNTS, []], "dilations": COUNTS}),
    (network(conv_dictionary), {"side": [*COUNT, 9], "filters": COUNT}),
    (network(pursuit, k=2), {"k": COUNT}),
    (
        network(vit),
        dict.fromkeys(("dim", "decoder_dim", "heads"), COUNT)
        | dict.fromkeys(("depth", "decoder_depth"), COUNT_OR_ZERO),
    ),
    (BlockMask, {"fraction": [*POSITIVE, 1.1], "fill": NOT_FINITE}),
    (PixelMask, {"rate": [*SHARE, *LEVELS], "fill": NOT_FINITE}),
    (PatchMask, {"rate": SHARE, "fill": NOT_FINITE}),
    (Stain, {"blots": COUNT_OR_ZERO, "creases": COUNT_OR_ZERO, "radius": FROM_ZERO, "width": FROM_ZERO}),
    (GaussianNoise, {"std": [*FROM_ZERO, [0.5, 0.1], [0.1, math.inf]]}),
    (SaltAndPepper, {"rate": [*SHARE, *LEVELS]}),
    (Pixelate, {"size": [*COUNT, [1, 1.5], [2, 1]]}),
    (
        Paper,
        dict.fromkeys(("folds", "creases", "rings"), COUNT_OR_ZERO)
        | dict.fromkeys(("chance", "light", "age", "wear"), SHARE)
        | {"noise": FROM_ZERO},
    ),
]
CASES = [(make, name, value) for make, settings in PARTS for name, values in settings.items() for value in values]


def name_of(case):
    make = case[0]
    while isinstance(make, partial):
        make = make.func
    return f"{make.__name__}.{case[1]}={case[2]}"


@pytest.mark.parametrize(("make", "name", "value"), CASES, ids=map(name_of, CASES))
def test_a_number_out_of_range_is_refused(make, name, value):
    with pytest.raises(ZooError, match=r"\w"):
        make(**{name: value})


def test_heads_divide_the_width_of_tokens():
    with pytest.raises(ZooError, match=r"network\.heads=3: must divide network\.dim=64"):
        vit((1, 8, 8), 8, 8, 1, heads=3)


def test_a_number_that_is_too_large_is_told_its_own_bound():
    for check, value, bound in (
        (check_count, 2**40, "at most 2,147,483,647"),
        (check_positive, 10**30, "at most 1e+18"),
    ):
        with pytest.raises(ZooError, match=f"{re.escape(bound)}$"):
            check(value, "a")
