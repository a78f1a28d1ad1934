"""Simulated wear of a printed page: folds, creases, coffee, uneven light, worn ink; a `zoo.types.Corruption`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from zoo.checks import check_count, check_finite, check_fraction
from zoo.model.corruptions.levels import full_mask

COFFEE = (0.45, 0.75, 1.0)  # share of red, green and blue that it absorbs at its strongest
AGED = (0.2, 0.5, 1.0)  # the same of yellowed paper
LUMA = (0.299, 0.587, 0.114)


@dataclass(frozen=True)
class Paper:
    """A worn page as a scanner records it: paper times light times stains, with ink on it, and the scanner's noise.

        seen = clip(light(p) fold(p) aged_c coffee_c(p) (1 - ink(p)) + noise eps, 0, 1),    ink = worn(p) (1 - x)

    All lengths are in pixels and do not depend on the image's size, so that a patch is corrupted as a part of a page
    would be. Each fold, crease and ring passes through a random pixel of the image.

    Args:
        folds: largest number per image: nearly straight lines along or across the page, grey on one side, without ink.
        creases: largest number per image: short wavy lines in any direction.
        rings: largest number per image: coffee rings of radius 40 to 110, faintly tinted inside.
        chance: probability of each of these.
        light: largest share of the light that shadow absorbs.
        age: largest share of blue that yellowing absorbs.
        wear: largest share of the ink that is lost, in broad waves and pixel by pixel.
        noise: standard deviation of the scanner's noise, in units of the pixel range.

    Raises:
        ZooError: a value out of range.
    """

    masks: ClassVar[bool] = False

    folds: int = 1
    creases: int = 2
    rings: int = 1
    chance: float = 0.5
    light: float = 0.4
    age: float = 0.25
    wear: float = 0.5
    noise: float = 0.025

    def __post_init__(self) -> None:
        for name in ("folds", "creases", "rings"):
            check_count(getattr(self, name), f"corruption.{name}", least=0)
        check_finite(self.noise, "corruption.noise", least=0)
        for name in ("chance", "light", "age", "wear"):
            check_fraction(getattr(self, name), f"corruption.{name}")

    def __call__(self, x: Tensor, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """Return the worn page and a mask of ones, because light and noise change every pixel."""
        page = _Page(x, generator)
        ink = 1 - x
        paper = 1 - self.light * page.uniform(1)[0] * page.wave()
        paper = paper * (1 - self.age * page.uniform(1)[0] * _shares(AGED, x))
        for i in range(self.folds + self.creases):
            u = page.uniform(8)
            visible = (u[7] < self.chance).to(x.dtype)
            across, depth, reach = page.fold(u, visible) if i < self.folds else page.crease(u, visible)
            shadow = (0.1 + 0.25 * u[5]) * torch.exp(-across.abs() / reach) * torch.where(across > 0, 1.0, 0.25)
            ridge = torch.exp(-((across / (0.8 + 0.8 * u[6])) ** 2))
            paper = paper * (1 - depth * shadow) * (1 - depth * 0.25 * torch.exp(-((across - 2.5) ** 2)))
            ink = ink * (1 - depth * (0.4 + 0.6 * u[3]) * ridge)
        for _ in range(self.rings):
            u = page.uniform(8)
            visible = (u[7] < self.chance).to(x.dtype)
            paper = paper * (1 - page.ring(u, visible) * _shares(COFFEE, x))
        grain = torch.rand(len(x), 1, *x.shape[2:], generator=generator, device=x.device, dtype=x.dtype)
        ink = ink * (1 - self.wear * page.uniform(1)[0] * torch.maximum(page.wave(), grain))
        noise = torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
        return (paper * (1 - ink)).add(noise, alpha=self.noise).clamp(0, 1), full_mask(x)


class _Page:
    """Coordinates of the pixels of x: (B, C, H, W), and random shapes on them; u holds uniform numbers per image."""

    def __init__(self, x: Tensor, generator: torch.Generator | None) -> None:
        self.x, self.generator = x, generator
        y, z = (torch.arange(side, device=x.device, dtype=x.dtype) + 0.5 for side in x.shape[2:])
        self.y, self.z = y[:, None], z[None, :]

    def uniform(self, n: int) -> Tensor:
        """n uniform numbers for each image: (n, B, 1, 1, 1)."""
        x = self.x
        return torch.rand(n, len(x), 1, 1, 1, generator=self.generator, device=x.device, dtype=x.dtype)

    def wave(self) -> Tensor:
        """A wave of length 200 to 800 in a random direction, in [0, 1]: (B, 1, H, W)."""
        u = self.uniform(3)
        turn, pace = 2 * math.pi * u[0], 2 * math.pi / (200 + 600 * u[1])
        along = self.y * torch.cos(turn) + self.z * torch.sin(turn)
        return 0.5 + 0.5 * torch.sin(pace * along + 2 * math.pi * u[2])

    def fold(self, u: Tensor, visible: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Distance across a fold, its depth, and the reach of its shadow; (B, 1, H, W) and twice (B, 1, 1, 1)."""
        down, right = self._from(u)
        turn = math.pi / 2 * (u[2] * 2).floor() + 0.06 * (u[3] - 0.5)
        return down * torch.cos(turn) + right * torch.sin(turn), visible, 8 + 30 * u[4]

    def crease(self, u: Tensor, visible: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The same of a crease, whose depth fades towards its ends: (B, 1, H, W)."""
        down, right = self._from(u)
        turn = math.pi * u[2]
        along = right * torch.cos(turn) - down * torch.sin(turn)
        across = down * torch.cos(turn) + right * torch.sin(turn)
        across = across + (1 + 2 * u[3]) * torch.sin(along / (10 + 20 * u[4]) + 6 * u[5])
        depth = visible * 0.7 * torch.sigmoid((20 + 60 * u[6] - along.abs()) / 8)
        return across, depth, 4 + 8 * u[4]

    def ring(self, u: Tensor, visible: Tensor) -> Tensor:
        """Strength of a coffee ring, in [0, 1]: (B, 1, H, W)."""
        radius, turn = 40 + 70 * u[2], 2 * math.pi * u[3]
        down, right = self._from(u)
        down, right = down - radius * torch.cos(turn), right - radius * torch.sin(turn)
        angle = torch.atan2(down, right)
        edge = torch.hypot(down, right) - radius * (1 + 0.02 * torch.sin(3 * angle + 6 * u[4]))
        rim = torch.exp(-torch.where(edge < 0, -edge / (1.5 + 4 * u[5]), edge / 1.2))
        rim = rim * (0.65 + 0.35 * torch.sin(angle + 6 * u[6])) * (0.85 + 0.15 * torch.sin(7 * angle + 9 * u[5]))
        return visible * (0.3 + 0.5 * u[4]) * torch.maximum(rim, (0.1 + 0.2 * u[6]) * torch.sigmoid(-edge / 1.5))

    def _from(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """Vertical and horizontal distance from a random pixel: (B, 1, H, 1) and (B, 1, 1, W)."""
        return self.y - u[0] * len(self.y), self.z - u[1] * self.z.shape[1]


def _shares(colour: tuple[float, float, float], x: Tensor) -> Tensor:
    """A colour as (C, 1, 1): unchanged for three channels, else its luma in every channel."""
    channels = x.shape[1]
    luma = sum(weight * share for weight, share in zip(LUMA, colour, strict=True))
    return x.new_tensor(colour if channels == 3 else [luma] * channels).view(-1, 1, 1)
