"""Damage to a printed page: folds, creases, coffee, uneven light, worn ink, all drawn; a `zoo.types.Corruption`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from zoo.errors import ZooError

COFFEE = (0.45, 0.75, 1.0)  # what it takes of red, green and blue, where it is strongest
AGED = (0.2, 0.5, 1.0)  # likewise of old paper
LUMA = (0.299, 0.587, 0.114)


@dataclass(frozen=True)
class Paper:
    """A page as a scanner sees it: paper times light times stains, with ink on it, and the scanner's noise.

        seen = clip(light(p) fold(p) aged_c coffee_c(p) (1 - ink(p)) + noise eps, 0, 1),    ink = worn(p) (1 - x)

    All lengths are in pixels and do not depend on the image's size, so that a patch is damaged as a part of a page
    would be. Each fold, crease and ring goes through a random pixel of the image.

    Args:
        folds: per image, at most: nearly straight lines along or across the page, grey on one side; ink is rubbed off.
        creases: per image, at most: short wavy lines in any direction.
        rings: per image, at most: coffee rings of radius 40 to 110, a faint tint within.
        chance: probability that each of these is there.
        light: the largest share of the light that shadow takes.
        age: the largest share of blue that yellowing takes.
        wear: the largest share of the ink that is gone, in broad waves and pixel by pixel.
        noise: standard deviation of the scanner's noise, in units of the pixel range.

    Raises:
        ZooError: a number out of range.
    """

    hides: ClassVar[bool] = False

    folds: int = 1
    creases: int = 2
    rings: int = 1
    chance: float = 0.5
    light: float = 0.4
    age: float = 0.25
    wear: float = 0.5
    noise: float = 0.025

    def __post_init__(self) -> None:
        for name in ("folds", "creases", "rings", "noise"):
            if not getattr(self, name) >= 0:
                raise ZooError(f"corruption.{name}={getattr(self, name)}: it must be 0 or more")
        for name in ("chance", "light", "age", "wear"):
            if not 0 <= getattr(self, name) <= 1:
                raise ZooError(f"corruption.{name}={getattr(self, name)}: a share is in [0, 1]")

    def __call__(self, x: Tensor, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """Return the damaged page and a mask of ones, as light and noise are everywhere."""
        b, channels, height, width = x.shape
        y, z = (torch.arange(side, device=x.device, dtype=x.dtype) + 0.5 for side in (height, width))
        y, z = y[:, None], z[None, :]

        def drawn(n: int) -> Tensor:
            """Uniform numbers, n for each image: (n, B, 1, 1, 1)."""
            return torch.rand(n, b, 1, 1, 1, generator=generator, device=x.device, dtype=x.dtype)

        def waves() -> Tensor:
            """A wave of length 200 to 800 in a random direction, in [0, 1]: (B, 1, H, W)."""
            u = drawn(3)
            turn, pace = 2 * math.pi * u[0], 2 * math.pi / (200 + 600 * u[1])
            return 0.5 + 0.5 * torch.sin(pace * (y * torch.cos(turn) + z * torch.sin(turn)) + 2 * math.pi * u[2])

        ink = 1 - x
        paper = 1 - self.light * drawn(1)[0] * waves()
        paper = paper * (1 - self.age * drawn(1)[0] * _shares(AGED, channels, x))
        for i in range(self.folds + self.creases):
            u = drawn(8)
            there = (u[7] < self.chance).to(x.dtype)
            down, right = y - u[0] * height, z - u[1] * width
            if i < self.folds:
                turn = math.pi / 2 * (u[2] * 2).floor() + 0.06 * (u[3] - 0.5)
                across, along = (
                    down * torch.cos(turn) + right * torch.sin(turn),
                    right * torch.cos(turn) - down * torch.sin(turn),
                )
                deep, reach = there, 8 + 30 * u[4]
            else:
                turn = math.pi * u[2]
                along = right * torch.cos(turn) - down * torch.sin(turn)
                across = down * torch.cos(turn) + right * torch.sin(turn)
                across = across + (1 + 2 * u[3]) * torch.sin(along / (10 + 20 * u[4]) + 6 * u[5])
                deep, reach = there * 0.7 * torch.sigmoid((20 + 60 * u[6] - along.abs()) / 8), 4 + 8 * u[4]
            shadow = (0.1 + 0.25 * u[5]) * torch.exp(-across.abs() / reach) * torch.where(across > 0, 1.0, 0.25)
            ridge = torch.exp(-((across / (0.8 + 0.8 * u[6])) ** 2))
            paper = paper * (1 - deep * shadow) * (1 - deep * 0.25 * torch.exp(-((across - 2.5) ** 2)))
            ink = ink * (1 - deep * (0.4 + 0.6 * u[3]) * ridge)
        for _ in range(self.rings):
            u = drawn(8)
            there = (u[7] < self.chance).to(x.dtype)
            radius, turn = 40 + 70 * u[2], 2 * math.pi * u[3]
            down = y - u[0] * height - radius * torch.cos(turn)
            right = z - u[1] * width - radius * torch.sin(turn)
            angle = torch.atan2(down, right)
            edge = torch.hypot(down, right) - radius * (1 + 0.02 * torch.sin(3 * angle + 6 * u[4]))
            rim = torch.exp(-torch.where(edge < 0, -edge / (1.5 + 4 * u[5]), edge / 1.2))
            rim = rim * (0.65 + 0.35 * torch.sin(angle + 6 * u[6])) * (0.85 + 0.15 * torch.sin(7 * angle + 9 * u[5]))
            stain = there * (0.3 + 0.5 * u[4]) * torch.maximum(rim, (0.1 + 0.2 * u[6]) * torch.sigmoid(-edge / 1.5))
            paper = paper * (1 - stain * _shares(COFFEE, channels, x))
        grain = torch.rand(b, 1, height, width, generator=generator, device=x.device, dtype=x.dtype)
        ink = ink * (1 - self.wear * drawn(1)[0] * torch.maximum(waves(), grain))
        noise = torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
        seen = (paper * (1 - ink)).add(noise, alpha=self.noise).clamp(0, 1)
        return seen, x.new_ones(()).expand(b, 1, height, width)


def _shares(colour: tuple[float, float, float], channels: int, like: Tensor) -> Tensor:
    """A colour as (C, 1, 1): itself for red, green and blue, else its luma in every channel."""
    luma = sum(weight * share for weight, share in zip(LUMA, colour, strict=True))
    return like.new_tensor(colour if channels == 3 else [luma] * channels).view(-1, 1, 1)
