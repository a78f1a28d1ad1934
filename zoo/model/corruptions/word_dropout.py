"""Words of a document dropped at random."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from zoo.checks import check_fraction
from zoo.types import Serves


@dataclass(frozen=True)
class WordDropout(Serves):
    """Each term of a document is dropped, with all of its occurrences, with probability `rate`.

    A code then has to follow from some of the terms, which reduces overfitting. D. Liang, R. Krishnan, M.
    Hoffman, T. Jebara, "Variational autoencoders for collaborative filtering", 2018, arXiv:1802.05814, section 2.3.

    Where this differs from the paper: the remaining counts are not multiplied by 1 / (1 - rate).

    Args:
        rate: fraction of terms that are dropped.

    Raises:
        ZooError: a rate out of range.
    """

    kinds = ("counts",)
    masks: ClassVar[bool] = False

    rate: float = 0.5

    def __post_init__(self) -> None:
        check_fraction(self.rate, "corruption.rate")

    def __call__(self, x: Tensor, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """Documents x: (B, 1, 1, D) without some of their terms, and which these are: (B, 1, 1, D) in {0, 1}."""
        dropped = torch.rand(x.shape, generator=generator, device=x.device) < self.rate
        return torch.where(dropped, 0.0, x), dropped.to(x.dtype)
