"""Codes on the plane of their two leading principal axes, for pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from zoo.evaluation.registry import Curve
from zoo.linear_algebra import principal_axes


@dataclass(frozen=True)
class CodePlane:
    """Samples on a plane.

    Attributes:
        points: (N, 2).
        names: N of them: what a sample is, or is of.
        share: fraction of the variance of the codes that lies in the plane.
    """

    points: Tensor
    names: Sequence[str]
    share: float

    def as_curve(self, name: str) -> Curve:
        """The fraction, with the points as a table in steps of a thousandth of the longer side."""
        scale = float((self.points.amax(0) - self.points.amin(0)).max()) or 1.0
        x, y = (self.points / scale).double().round(decimals=3).T.tolist()
        return Curve(self.share, {name: [*self.names], "x": x, "y": y}, len(self.names))


def plane_of(codes: Tensor, names: Sequence[str]) -> CodePlane:
    """Codes (N, D) on their two leading axes, each with the sign that makes its largest coordinate positive.

    Codes of a single unit lie on a line, with 0 as the second coordinate.
    """
    mean, variances, axes = principal_axes(codes)
    points = (codes.double() - mean) @ axes[:, :2]
    largest = points.gather(0, points.abs().argmax(0, keepdim=True))
    points = points * torch.where(largest < 0, -1.0, 1.0)
    share = float(variances[:2].sum() / variances.sum().clamp(min=1e-300))
    return CodePlane(torch.nn.functional.pad(points, (0, 2 - points.shape[1])), names, share)
