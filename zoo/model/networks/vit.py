"""Vision transformers as encoder and decoder; the encoder can receive a mask and ignore the masked patches."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.checks import check_count
from zoo.errors import ZooError
from zoo.model.activations import activation_named
from zoo.model.corruptions.masks import patch_side
from zoo.types import ReadsMask, Shape, StartsAtMean


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
    activation: str = "gelu",
) -> tuple[nn.Module, nn.Module]:
    """patches -> tokens -> depth blocks -> in_features; out_features -> tokens -> blocks -> patches.

    A. Dosovitskiy et al., "An Image is Worth 16x16 Words", 2020, arXiv:2010.11929, with linear maps to and from a code.

    Where this differs from masked autoencoders in the papers: the decoder receives one code for the image, and not a
    token for each patch.

    Args:
        shape: (C, H, W); patches are squares of `zoo.model.corruptions.masks.patch_side`.
        in_features: width of the encoder's output.
        out_features: width of the decoder's input.
        channels: channels of the decoder's output.
        dim: width of the encoder's tokens.
        depth: number of the encoder's blocks.
        decoder_dim: width of the decoder's tokens.
        decoder_depth: number of the decoder's blocks; with 0, the map from the code to the image is affine.
        heads: attention heads.
        mask_token: replace masked patches by a learned token (SimMIM); otherwise, leave them out (MAE).
        activation: name of the activation inside the blocks.

    Raises:
        ZooError: a number is out of range, or the heads do not divide the width of the tokens.
    """
    for name, value in {"dim": dim, "decoder_dim": decoder_dim, "heads": heads}.items():
        check_count(value, f"network.{name}")
    for name, value in {"depth": depth, "decoder_depth": decoder_depth}.items():
        check_count(value, f"network.{name}", least=0)
    if dim % heads or decoder_dim % heads:
        raise ZooError(f"network.heads={heads}: must divide network.dim={dim} and network.decoder_dim={decoder_dim}")
    patch, inside = patch_side(*shape[1:]), activation_named(activation)
    return (
        Encoder(shape, patch, in_features, dim, depth, heads, mask_token, inside),
        decoder(shape, patch, out_features, channels, decoder_dim, decoder_depth, heads, inside),
    )


class Encoder(nn.Module, ReadsMask):
    """h = T / |V| sum_(p in V) W_p t_p + b, with tokens t_p of the visible patches V among T positions p.

    A patch with any masked pixel counts as masked. There is one W_p per position: with a single W (the mean of the
    tokens), a short fit does not get beyond the mean image. Every token also attends to a class token.

    K. He et al., "Masked Autoencoders Are Scalable Vision Learners", 2021, arXiv:2111.06377 (`mask_token=False`);
    Z. Xie et al., "SimMIM: a Simple Framework for Masked Image Modeling", 2021, arXiv:2111.09886 (`mask_token=True`).

    Args:
        shape: (C, H, W) of the images.
        patch: side of a patch.
        out_features: width of h.
        dim: width of a token.
        depth: number of blocks.
        heads: attention heads.
        mask_token: see `vit`.
        activation: builds the activation of the blocks.
    """

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
        """x: (B, C, H, W), hidden: (B, 1, H, W) in {0, 1}, one on masked pixels -> (B, out_features)."""
        patches = F.unfold(x, self.patch, stride=self.patch).mT
        batch, total, _ = patches.shape
        masked = None if hidden is None else F.max_pool2d(hidden, self.patch).flatten(1) > 0
        place, attended = None, None
        if masked is not None and self.mask_token is None:
            count = (~masked).sum(1)
            place = masked.to(torch.uint8).argsort(dim=1, stable=True)[
                :, : int(count.max()), None
            ]  # visible ones first
            patches = patches.gather(1, place.expand(-1, -1, patches.shape[2]))
            if count.min() < count.max():
                attended = (torch.arange(place.shape[1] + 1, device=x.device) <= count[:, None])[:, None, None]
        tokens = self.embed(patches)
        if masked is not None and self.mask_token is not None:
            tokens = torch.where(masked[..., None], self.mask_token, tokens)
        tokens = tokens + (self.positions if place is None else self.positions[place[..., 0]])
        tokens = torch.cat([self.class_token.expand(batch, -1, -1), tokens], 1)
        for block in self.blocks:
            tokens = block(tokens, attended)
        tokens = self.norm(tokens)[:, 1:]
        if place is not None:
            visible = tokens if attended is None else tokens * attended[:, 0, 0, 1:, None]
            target = place.expand(-1, -1, tokens.shape[2])
            tokens = tokens.new_zeros(batch, total, tokens.shape[2]).scatter(1, target, visible)
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
    """One token per patch by a linear map of the code, blocks, and a linear map from each token to its patch.

    Args:
        shape: (C, H, W) of the images.
        patch: side of a patch.
        in_features: width of the code.
        channels: channels of the output.
        dim: width of a token.
        depth: number of blocks.
        heads: attention heads.
        activation: builds the activation of the blocks.
    """
    tokens = (shape[1] // patch) * (shape[2] // patch)
    return nn.Sequential(
        nn.Linear(in_features, tokens * dim),
        nn.Unflatten(1, (tokens, dim)),
        *(Block(dim, heads, activation) for _ in range(depth)),
        *([nn.LayerNorm(dim)] if depth else []),  # of the residual stream
        PatchHead(dim, channels, patch),
        Unpatch(shape, patch),
    )


class PatchHead(nn.Linear, StartsAtMean):
    """A linear map from each token to its patch: (B, patches, dim) -> (B, patches, channels * side^2).

    Args:
        dim: width of a token.
        channels: channels of a patch.
        patch: side of a patch.
    """

    def __init__(self, dim: int, channels: int, patch: int) -> None:
        super().__init__(dim, channels * patch**2)
        self.patch = patch

    @torch.no_grad()
    def start_at_mean(self, mean: Tensor, raw_of_mean: Callable[[Tensor], Tensor]) -> None:
        """One bias for all patches: their mean over images and positions, of (C, H, W)."""
        channels, height, width = mean.shape
        side = self.patch
        patches = mean.view(channels, height // side, side, width // side, side)
        self.bias.copy_(raw_of_mean(patches.mean((1, 3))).flatten())


class Unpatch(nn.Module):
    """Images from their patches: (B, patches, C * side^2) -> (B, C, H, W).

    Args:
        shape: (C, H, W) of the images.
        patch: side of a patch.
    """

    def __init__(self, shape: Shape, patch: int) -> None:
        super().__init__()
        self.size, self.patch = shape[1:], patch

    def forward(self, patches: Tensor) -> Tensor:
        """(B, patches, C * side^2) -> (B, C, H, W), the inverse of `torch.nn.functional.unfold` with stride `patch`."""
        return F.fold(patches.mT, self.size, self.patch, stride=self.patch)


class Block(nn.Module):
    """t + attention(norm(t)), then t + mlp(norm(t)), with twice the width inside the mlp.

    Written out because torch's own layer evaluates by a fused kernel, which counts of multiply-accumulates miss, and
    whose attention is many times slower than these products with few tokens and narrow heads.

    Args:
        dim: width of a token.
        heads: attention heads.
        activation: builds the activation of the mlp.
    """

    def __init__(self, dim: int, heads: int, activation: Callable[[], nn.Module]) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(dim)
        self.qkv = nn.Linear(dim, 3 * dim)
        self.merge = nn.Linear(dim, dim)
        self.mlp = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, 2 * dim), activation(), nn.Linear(2 * dim, dim))

    def forward(self, t: Tensor, attended: Tensor | None = None) -> Tensor:
        """t: (B, T, dim), attended: (B, 1, 1, T) booleans, the tokens to attend to, None for all -> (B, T, dim)."""
        q, k, v = self.qkv(self.norm(t)).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        score = (q * q.shape[3] ** -0.5) @ k.mT
        if attended is not None:
            score = score.masked_fill(~attended, -torch.inf)
        t = t + self.merge((score.softmax(3) @ v).transpose(1, 2).flatten(2))
        out: Tensor = t + self.mlp(t)
        return out
