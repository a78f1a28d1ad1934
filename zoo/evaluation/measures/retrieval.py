"""Retrieval: samples ranked by the angle between their codes and that of a query."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

CHUNK = 512


@dataclass(frozen=True)
class Retrieval:
    """How often samples that are ranked near a query have its label.

    Attributes:
        precision: {number retrieved: (N,), the fraction of these with the query's label}.
        recall: {number retrieved: (N,), the fraction of all with the query's label that is among these}.
    """

    precision: dict[int, Tensor]
    recall: dict[int, Tensor]


def retrieval(codes: Tensor, labels: Tensor, numbers: tuple[int, ...]) -> Retrieval:
    """Each sample in turn is the query, and all others are ranked by the cosine of their codes with its code.

    Of equal cosines, the first in order; a code of length 0 has the cosine 0 with every other.

    Args:
        codes: (N, D).
        labels: (N,).
        numbers: numbers of retrieved samples for precision and recall, each less than N.
    """
    unit = torch.nn.functional.normalize(codes.double(), dim=1)
    others = labels.bincount()[labels] - 1
    hits: dict[int, list[Tensor]] = {number: [] for number in numbers}
    for start in range(0, len(codes), CHUNK):
        cosines = unit[start : start + CHUNK] @ unit.T
        cosines.diagonal(start).fill_(-torch.inf)
        order = torch.argsort(cosines, dim=1, descending=True, stable=True)[:, : max(numbers)]
        same = (labels[order] == labels[start : start + CHUNK, None]).cumsum(1)
        for number, found in hits.items():
            found.append(same[:, number - 1])
    counted = {number: torch.cat(found).double() for number, found in hits.items()}
    return Retrieval(
        {number: found / number for number, found in counted.items()},
        {number: found / others.clamp(min=1) for number, found in counted.items()},
    )
