"""The rate of a variational code, and the information in it."""

from __future__ import annotations

import math
from functools import cached_property
from itertools import pairwise

import torch
from torch import Tensor

from zoo.data.images import shuffled
from zoo.evaluation.batches import BATCH
from zoo.evaluation.measures.aggregate_posterior import AggregateBounds, aggregate_bounds, log_densities
from zoo.evaluation.measures.bounds import encoder_output, rate_and_distortion
from zoo.evaluation.measures.rate_distortion import RateDistortion
from zoo.evaluation.registry import NotApplicable
from zoo.evaluation.subject.evidence import Evidence
from zoo.types import HasPosterior

SEED, SAMPLES = 0, 4  # of each posterior, for rate and distortion
SCORED, MIXED = 2_000, 100_000  # test samples whose codes are scored, and posteriors of the mixture, at most
SIZES = (100, 1_000, 10_000)  # of the mixture, besides the largest


class Variational(Evidence):
    """Rate and distortion of sampled codes, and bounds on the information in them."""

    @cached_property
    def bits_back_rate(self) -> RateDistortion:
        """Rate of bits-back coding and mean squared error of samples of the posterior, one point."""
        seen, x = self.model.likelihood.target(self.x).to(self.device), self.x.to(self.device)
        nats, mse = rate_and_distortion(self.model, self.draws_codes, seen, x, SAMPLES, SEED)
        bits = nats / math.log(2)
        return RateDistortion([0.0], [bits], [bits], [mse], len(x))

    @cached_property
    def aggregate_bounds(self) -> AggregateBounds:
        """Bounds on KL(q(z) || p(z)) and on I(x; z), from one code of each test sample, at most 2,000.

        q(z) is a mixture of the posteriors of that sample and of training samples: 100, 1,000, 10,000, and all of them,
        at most 100,000, in random order.

        Raises:
            NotApplicable: the model is not variational, or its q(z | x) has no closed form.
        """
        draws, bottleneck = self.draws_codes, self.model.bottleneck
        if not isinstance(bottleneck, HasPosterior):
            raise NotApplicable("q(z | x) has no closed form, as the code has several layers")
        generator = torch.Generator(self.device).manual_seed(SEED)
        parts = []
        for x in self.data.test.spaced(SCORED).batches(BATCH):
            h = self.hidden(x)
            z, log_ratio = draws.draw(h, 1, generator)
            parts.append((z, bottleneck.posterior(h).log_prob(z).sum(1), log_ratio))
        z, own, log_ratio = (torch.cat(part) for part in zip(*parts, strict=True))
        return aggregate_bounds(own.double().cpu(), log_ratio.double().cpu(), self.log_sums(bottleneck, z))

    def log_sums(self, bottleneck: HasPosterior, z: Tensor) -> dict[int, Tensor]:
        """{M: log of the sum of q(z | x) over M - 1 training samples x, for each of codes z: (N, D)}: (N,) each."""
        order = shuffled(len(self.data.train), torch.Generator().manual_seed(SEED))[: MIXED - 1]
        sizes = [*(size for size in SIZES if size <= len(order)), len(order) + 1]
        total, found = z.new_full((len(z),), -torch.inf, dtype=torch.float64), {}
        for start, end in pairwise([1, *sizes]):
            for index in torch.split(order[start - 1 : end - 1], BATCH):
                q = bottleneck.posterior(self.hidden(self.data.train[index]))
                total = torch.logaddexp(total, log_densities(q, z).double().logsumexp(1))
            found[end] = total.cpu()
        return found

    def hidden(self, x: Tensor) -> Tensor:
        """The encoder's output for samples as the likelihood evaluates them: (B, C, H, W) -> (B, in_features)."""
        return encoder_output(self.model, self.model.likelihood.target(x).to(self.device))
