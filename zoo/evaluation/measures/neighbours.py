"""Exact nearest neighbours by matrix products."""

from __future__ import annotations

import torch
from torch import Tensor

BLOCK = 32


def nearest(queries: Tensor, points: Tensor, k: int, same: bool = False, chunk: int = 256) -> tuple[Tensor, Tensor]:
    """The k points nearest to each query, nearest first, by Euclidean distance.

    Exact, without sorting all distances: the k nearest points lie in the k blocks of 32 points with the smallest
    minimum distance.

    Args:
        queries: (Q, D).
        points: (N, D), N >= k (N > k with `same`).
        k: neighbours per query.
        same: whether queries are the points themselves, in this order; no point is then its own neighbour.
        chunk: queries compared at a time, which bounds memory and changes nothing else.

    Returns:
        distances: (Q, k), and index: (Q, k) int64, the neighbours' rows in `points`.
    """
    origin = points.mean(0)  # centred, distances from inner products lose the fewest digits
    queries, points = queries - origin, points - origin
    padding = -len(points) % BLOCK
    blocks = (len(points) + padding) // BLOCK
    # (q, 1) . (-2 p, |p|^2) = |q - p|^2 - |q|^2: one product, with no addition over its large result
    augmented = torch.cat([-2 * points, points.square().sum(1, keepdim=True)], 1)
    nowhere = augmented.new_zeros(padding, augmented.shape[1])
    nowhere[:, -1] = torch.inf
    augmented = torch.cat([augmented, nowhere]).T
    place = blocks * torch.arange(BLOCK)
    buffer = points.new_empty(chunk, blocks * BLOCK)  # new memory for each chunk would take as long as the product
    found = []
    for start in range(0, len(queries), chunk):
        part = queries[start : start + chunk]
        distances = torch.mm(torch.cat([part, part.new_ones(len(part), 1)], 1), augmented, out=buffer[: len(part)])
        if same:
            distances.diagonal(start).fill_(torch.inf)
        chosen = distances.view(-1, BLOCK, blocks).amin(1).topk(min(k, blocks), largest=False).indices
        columns = (chosen[:, :, None] + place).flatten(1)
        values, order = distances.gather(1, columns).topk(k, largest=False)
        squares = values + part.square().sum(1, keepdim=True)
        found.append((squares.clamp_(min=0).sqrt_(), columns.gather(1, order)))
    distance, index = zip(*found, strict=True)
    return torch.cat(distance), torch.cat(index)
