"""Vector quantisation with a learned codebook, in one stage or several (residual quantisation)."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from zoo.checks import check_count, is_finite
from zoo.errors import ZooError
from zoo.types import Bottleneck, Code

BEAM = 16  # width of the beam search for the entries of a sum
DEAD = 0.03  # entries used less than this fraction of the mean use are restarted


class VQ(Bottleneck):
    """z_m = sum_s e_s[i_ms], i_ms = argmin_i |h_m - z_m(s - 1) - e_s[i]|, m = 1..positions, s = 1..stages.

    The encoder's output is split into positions; each becomes the sum of one entry of each stage's codebook, where each
    stage quantises the residual of the one before. One stage is the VQ-VAE of A. van den Oord, O. Vinyals, K.
    Kavukcuoglu, "Neural discrete representation learning", 2017, arXiv:1711.00937; more are residual quantisation: N.
    Zeghidour et al., "SoundStream", 2021, arXiv:2107.03312, section III-C; D. Lee et al., 2022, arXiv:2203.01941.

    commit = sum_s |h - sg(z(s))|^2, summed over positions, with z(s) the sum of the first s entries: the squared
    residual of every stage (arXiv:1711.00937, eq. 3, third term; arXiv:2203.01941, section 3.1).

    Codebooks are buffers, not parameters: each backward pass moves them towards the encoder outputs assigned to them,
    by the moving averages of arXiv:1711.00937, appendix A.1: with n_i outputs of sum s_i assigned to entry i,

        N_i <- decay N_i + (1 - decay) n_i,   e_i <- (decay N_i e_i + (1 - decay) s_i) / N_i

    An entry with N_i below 3 % of the mean use is restarted at a random output of the batch (W. Williams et al., 2020,
    arXiv:2002.08111); in the first step these are nearly all entries.

    Args:
        positions: M, symbols per image and stage, all from the same codebook.
        dimensions: d, dimensions of an entry.
        codebook_size: entries per codebook; 256 are 8 bits per symbol.
        stages: S, number of codebooks.
        decay: of the moving averages.
        rotation: propagate the gradient by the rotation and scaling from h_m to z_m (C. Fifty et al., "Restructuring
            vector quantization with the rotation trick", 2024, arXiv:2410.06424) instead of unchanged (straight
            through).

    Raises:
        ZooError: decay is not in [0, 1), or a count is below 1.
    """

    codebook: Tensor
    use: Tensor

    def __init__(
        self,
        positions: int,
        dimensions: int,
        codebook_size: int = 256,
        stages: int = 1,
        decay: float = 0.99,
        rotation: bool = False,
    ) -> None:
        units = check_count(positions, "bottleneck.positions") * check_count(dimensions, "bottleneck.dimensions")
        super().__init__(units, units)
        self.positions, self.dimensions = positions, dimensions
        self.codebook_size = check_count(codebook_size, "bottleneck.codebook_size")
        self.stages = self.codebooks = check_count(stages, "bottleneck.stages")
        if not is_finite(decay) or not 0 <= decay < 1:
            raise ZooError(f"bottleneck.decay={decay}: must be at least 0 and less than 1")
        self.decay, self.rotation = decay, rotation
        self.register_buffer("codebook", torch.randn(stages, codebook_size, dimensions))
        self.register_buffer("use", torch.zeros(stages, codebook_size))

    def forward(self, h: Tensor, generator: torch.Generator | None = None) -> Code:
        """h: (B, M d) -> point: (B, M d), sums of entries; z: the same values with a gradient."""
        h = h.float()  # bf16 is too coarse for distances
        rows = h.detach().view(-1, self.dimensions)
        residuals, entries = self.quantise(rows)
        point = (rows - residuals[-1]).view_as(h)
        pass_through = rotated if self.rotation else straight_through
        z = pass_through(h.view_as(rows), point.view_as(rows)).view_as(h)
        if self.training and z.requires_grad:
            # in the backward pass, so that a forward pass alone never changes the model
            z.register_hook(partial(self._learn, residuals[:-1], entries, generator))  # type: ignore[no-untyped-call]
        outputs = h.view_as(rows)
        left = torch.stack([outputs - (rows - residual) for residual in residuals[1:]])
        return Code(z, point, {"commit": left.square().sum((0, 2)).view(len(h), -1).sum(1)})

    def quantise(self, rows: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Rows (T, d) -> residuals before each stage and after the last, each (T, d); entries, each (T,)."""
        residuals, entries = [rows], []
        for book in self.codebook:
            entries.append(distances(residuals[-1], book).argmin(1))
            residuals.append(residuals[-1] - book[entries[-1]])
        return residuals, entries

    @torch.no_grad()
    def indices(self, point: Tensor) -> Tensor:
        """The entries whose sums are the codes (B, M d): (B, M S) int64, the stages of a position one after another.

        With one stage these are the nearest entries. With more, a beam search looks for the nearest sum; where several
        sums are almost equal (about one code in a hundred, with eight stages) it may return another of them.
        """
        rows = point.reshape(-1, 1, self.dimensions)
        paths = torch.zeros(len(rows), 1, 0, dtype=torch.long, device=point.device)
        for book in self.codebook:
            distance = distances(rows.flatten(0, 1), book).view(len(rows), -1)
            best = distance.topk(min(BEAM if self.stages > 1 else 1, distance.shape[1]), largest=False).indices
            path, entry = best // len(book), best % len(book)
            rows = rows.gather(1, path[..., None].expand(-1, -1, self.dimensions)) - book[entry]
            paths = torch.cat([paths.gather(1, path[..., None].expand(-1, -1, paths.shape[2])), entry[..., None]], 2)
        return paths[:, 0].reshape(len(point), -1)

    def points(self, indices: Tensor) -> Tensor:
        """The codes of entries (B, M S): (B, M d)."""
        paths = indices.view(-1, self.stages)
        rows = torch.zeros(len(paths), self.dimensions, device=indices.device)
        for book, entry in zip(self.codebook, paths.T, strict=True):
            rows = rows + book[entry]
        return rows.view(len(indices), -1)

    @torch.no_grad()
    def _learn(
        self, residuals: list[Tensor], entries: list[Tensor], generator: torch.Generator | None, _: Tensor
    ) -> None:
        for book, use, rows, entry in zip(self.codebook, self.use, residuals, entries, strict=True):
            counts = torch.bincount(entry, minlength=len(book)).to(use)
            sums = torch.zeros_like(book).index_add_(0, entry, rows)
            total = self.decay * use[:, None] * book + (1 - self.decay) * sums
            use.mul_(self.decay).add_((1 - self.decay) * counts)
            share = len(rows) / len(book)
            dead = use < DEAD * share
            drawn = torch.randint(len(rows), (len(book),), generator=generator, device=rows.device)
            book.copy_(torch.where(dead[:, None], rows[drawn], total / use[:, None]))
            use.masked_fill_(dead, share)


def distances(rows: Tensor, book: Tensor) -> Tensor:
    """|row - entry|^2 of rows (T, d) and entries (E, d): (T, E), in float32, as half precision makes many equal."""
    with torch.autocast(rows.device.type, enabled=False):
        return torch.addmm(rows.square().sum(1, keepdim=True) + book.square().sum(1), rows, book.T, alpha=-2)


def straight_through(h: Tensor, q: Tensor) -> Tensor:
    """The value of q with the gradient of h; Y. Bengio, N. Léonard, A. Courville, 2013, arXiv:1308.3432."""
    return h + (q - h).detach()


def rotated(h: Tensor, q: Tensor) -> Tensor:
    """q, computed as a constant rotation and scaling of h, row by row: (T, d) twice -> (T, d).

        q = R h |q| / |h|,  R = I - 2 r r' + 2 q^ h^',  r = (h^ + q^) / |h^ + q^|, with hats for unit vectors

    C. Fifty et al. 2024, arXiv:2410.06424, section 4.2.
    """
    h_hat, q_hat = F.normalize(h.detach(), dim=1), F.normalize(q, dim=1)
    r = F.normalize(h_hat + q_hat, dim=1)
    turned = h - 2 * (h * r).sum(1, keepdim=True) * r + 2 * (h * h_hat).sum(1, keepdim=True) * q_hat
    scale: Tensor = q.norm(dim=1, keepdim=True) / h.detach().norm(dim=1, keepdim=True).clamp(min=1e-12)
    return turned * scale
