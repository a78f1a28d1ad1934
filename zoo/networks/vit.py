"""Vision transformers on either side of the code; the encoder can be told what is hidden, and does not look there."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.corruption import patch_side
from zoo.types import Shape


def vit(
    shape: Shape,
    in_features: int,
    out_features: int,
    channels: int,
    dim: int = 64,
    depth: int = 4,
    decoder_dim: int = 32,
    decoder_depth: int = 2,
    heads: int = 4,
    mask_token: bool = False,
    activation: Callable[[], nn.Module] = nn.GELU,
) -> tuple[nn.Module, nn.Module]:
    """patches -> tokens -> depth blocks -> in_features; out_features -> tokens -> blocks -> patches.

    A. Dosovitskiy et al., "An Image is Worth 16x16 Words", 2020, arXiv:2010.11929, with two ends made for a bottleneck.

    Args:
        shape: (C, H, W); patches are squares of `zoo.corruption.patch_side`.
        in_features: width of the encoder's output.
        out_features: width of the decoder's input.
        channels: of the decoder's output.
        dim: width of the encoder's tokens.
        depth: the encoder's blocks.
        decoder_dim: width of the decoder's tokens.
        decoder_depth: the decoder's blocks; 0 leaves a head that reads each patch off its token.
        heads: of attention.
        mask_token: a learned token stands for each hidden patch (SimMIM); if not, hidden patches are left out (MAE).
        activation: inside the blocks.
    """
    patch = patch_side(*shape[1:])
    return (
        Encoder(shape, patch, in_features, dim, depth, heads, mask_token, activation),
        decoder(shape, patch, out_features, channels, decoder_dim, decoder_depth, heads, activation),
    )


class Encoder(nn.Module):
    """h = T / |V| sum_(p in V) W_p t_p + b: the transformed tokens t of the visible patches V among T, by their places.

    A patch with any hidden pixel counts as hidden as a whole. W_p differs from place to place: with one W for all (the
    mean of the tokens), a short fit does not leave the mean image. A class token is always among those attended to.

    K. He et al., "Masked Autoencoders Are Scalable Vision Learners", 2021, arXiv:2111.06377 (`mask_token=False`);
    Z. Xie et al., "SimMIM: a Simple Framework for Masked Image Modeling", 2021, arXiv:2111.09886 (`mask_token=True`).

    Args: see `vit`.
    """

    sees_holes = True

    def __init__(
        self,
        shape: Shape,
        patch: int,
        out_features: int,
        dim: int,
        depth: int,
        heads: int,
        mask_token: bool,
        activation: Callable[[], nn.Module],
    ) -> None:
        super().__init__()
        self.patch = patch
        tokens = (shape[1] // patch) * (shape[2] // patch)
        self.embed = nn.Linear(shape[0] * patch**2, dim)
        self.positions = nn.Parameter(0.1 * torch.randn(tokens, dim))
        self.class_token = nn.Parameter(0.1 * torch.randn(1, 1, dim))
        self.mask_token = nn.Parameter(0.1 * torch.randn(dim)) if mask_token else None
        self.blocks = nn.ModuleList(Block(dim, heads, activation) for _ in range(depth))
        self.norm = nn.LayerNorm(dim)
        self.head = nn.Linear(tokens * dim, out_features)

    def forward(self, x: Tensor, hidden: Tensor | None = None) -> Tensor:
        """x: (B, C, H, W), hidden: (B, 1, H, W) in {0, 1} -> (B, out_features)."""
        patches = F.unfold(x, self.patch, stride=self.patch).mT
        batch, total, _ = patches.shape
        gone = None if hidden is None else F.max_pool2d(hidden, self.patch).flatten(1) > 0
        place, attended = None, None
        if gone is not None and self.mask_token is None:
            count = (~gone).sum(1)
            place = gone.to(torch.uint8).argsort(dim=1, stable=True)[:, : int(count.max()), None]  # visible ones first
            patches = patches.gather(1, place.expand(-1, -1, patches.shape[2]))
            if count.min() < count.max():
                attended = (torch.arange(place.shape[1] + 1, device=x.device) <= count[:, None])[:, None, None]
        tokens = self.embed(patches)
        if gone is not None and self.mask_token is not None:
            tokens = torch.where(gone[..., None], self.mask_token, tokens)
        tokens = tokens + (self.positions if place is None else self.positions[place[..., 0]])
        tokens = torch.cat([self.class_token.expand(batch, -1, -1), tokens], 1)
        for block in self.blocks:
            tokens = block(tokens, attended)
        tokens = self.norm(tokens)[:, 1:]
        if place is not None:
            seen = tokens if attended is None else tokens * attended[:, 0, 0, 1:, None]
            everywhere = place.expand(-1, -1, tokens.shape[2])
            tokens = tokens.new_zeros(batch, total, tokens.shape[2]).scatter(1, everywhere, seen)
            tokens = tokens * (total / count.clamp(min=1))[:, None, None]
        h: Tensor = self.head(tokens.flatten(1))
        return h


def decoder(
    shape: Shape,
    patch: int,
    in_features: int,
    channels: int,
    dim: int,
    depth: int,
    heads: int,
    activation: Callable[[], nn.Module],
) -> nn.Module:
    """A token for each patch from a linear map of the code, blocks, and each patch from its token."""
    tokens = (shape[1] // patch) * (shape[2] // patch)
    return nn.Sequential(
        nn.Linear(in_features, tokens * dim),
        nn.Unflatten(1, (tokens, dim)),
        *(Block(dim, heads, activation) for _ in range(depth)),
        *([nn.LayerNorm(dim)] if depth else []),  # of what the blocks add up
        nn.Linear(dim, channels * patch**2),
        Unpatch(shape, patch),
    )


class Unpatch(nn.Module):
    """Patches put back in their places: (B, patches, C * side^2) -> (B, C, H, W)."""

    def __init__(self, shape: Shape, patch: int) -> None:
        super().__init__()
        self.size, self.patch = shape[1:], patch

    def forward(self, patches: Tensor) -> Tensor:
        """The inverse of `torch.nn.functional.unfold` where patches do not overlap."""
        return F.fold(patches.mT, self.size, self.patch, stride=self.patch)


class Block(nn.Module):
    """t + attention(norm(t)), then t + mlp(norm(t)), with twice the width inside the mlp.

    Written out because torch's own layer evaluates by a fused kernel that no count of multiply-accumulates sees, and
    its kernel for attention takes many times as long as these products where tokens are few and a head is narrow.

    Args:
        dim: width of a token.
        heads: of attention.
        activation: of the mlp.
    """

    def __init__(self, dim: int, heads: int, activation: Callable[[], nn.Module]) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(dim)
        self.qkv = nn.Linear(dim, 3 * dim)
        self.merge = nn.Linear(dim, dim)
        self.mlp = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, 2 * dim), activation(), nn.Linear(2 * dim, dim))

    def forward(self, t: Tensor, attended: Tensor | None = None) -> Tensor:
        """t: (B, T, dim), attended: (B, 1, 1, T), the tokens that are looked at -> (B, T, dim)."""
        q, k, v = self.qkv(self.norm(t)).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        score = (q * q.shape[3] ** -0.5) @ k.mT
        if attended is not None:
            score = score.masked_fill(~attended, -torch.inf)
        t = t + self.merge((score.softmax(3) @ v).transpose(1, 2).flatten(2))
        out: Tensor = t + self.mlp(t)
        return out
