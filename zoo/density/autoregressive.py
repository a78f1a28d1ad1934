"""A prior over the indices of a discrete code: each symbol given those before it."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from typing_extensions import Self

from zoo.density.held_out import check_enough, fit_held_out

CHUNK = 1024


class Autoregressive:
    """p(i) = prod_m p(i_m | i_1, ..., i_(m-1)), by a recurrent network over an image's M symbols.

    The counterpart, for codes without a picture's layout, of the PixelCNN that A. van den Oord et al. 2017,
    arXiv:1711.00937, section 3.4, fit to the indices of a VQ-VAE. A tenth of the codes is held out, and the weights
    that did best on it are kept.

    Args:
        size: entries of the codebook.
        indices: codes (N, D) -> their entries (N, M) int64.
        points: entries (N, M) -> the codes (N, D) that they stand for.
        units: of the network's state.
        steps: of the optimiser.
        batch_size: codes per step.
        rate: largest learning rate, of AdamW in one cycle.
        seed: determines initial weights and the order of the codes.
    """

    def __init__(
        self,
        size: int,
        indices: Callable[[Tensor], Tensor],
        points: Callable[[Tensor], Tensor],
        units: int = 128,
        steps: int = 1500,
        batch_size: int = 128,
        rate: float = 4e-3,
        seed: int = 0,
    ) -> None:
        self.size, self.indices, self.points = size, indices, points
        self.units, self.steps, self.batch_size, self.rate, self.seed = units, steps, batch_size, rate, seed

    def fit(self, z: Tensor) -> Self:
        """Fit to the entries of codes z: (N, D); the global random state stays as it is.

        Raises:
            ZooError: there are too few codes to hold one out, or the fit diverged.
        """
        check_enough(z, "an autoregressive density")
        symbols = self.indices(z)
        with torch.random.fork_rng(devices=[]), torch.enable_grad():
            torch.manual_seed(self.seed)
            self.network = Recurrent(self.size, symbols.shape[1], self.units)
            fit_held_out(
                self.network,
                lambda part, _: self.network.loss(part),
                symbols,
                steps=self.steps,
                batch_size=self.batch_size,
                rate=self.rate,
                seed=self.seed,
                validations=15,
            )
        return self

    @torch.no_grad()
    def sample(self, n: int, seed: int) -> Tensor:
        """n draws: (n, D), each made of entries of the codebook."""
        generator = torch.Generator().manual_seed(seed)
        symbols = torch.zeros(n, 0, dtype=torch.long)
        state: Tensor | None = None
        for position in range(self.network.positions):
            logits, state = self.network(symbols[:, -1:], position, state)
            drawn = torch.multinomial(logits[:, -1].softmax(1), 1, generator=generator)
            symbols = torch.cat([symbols, drawn], 1)
        return self.points(symbols)

    @torch.no_grad()
    def log_prob(self, z: Tensor) -> Tensor:
        """Log probabilities (not densities) of the entries of codes z: (N, D) -> (N,) float64, in nats."""
        return torch.cat([-self.network.loss(part) for part in torch.split(self.indices(z), CHUNK)]).double()


class Recurrent(nn.Module):
    """Logits of each symbol from those before it: a gated recurrent unit that is told the position.

    Args:
        size: entries of the codebook.
        positions: M.
        units: of the state and of the embeddings.
    """

    def __init__(self, size: int, positions: int, units: int) -> None:
        super().__init__()
        self.positions = positions
        self.position = nn.Parameter(0.1 * torch.randn(positions, units))
        self.symbol = nn.Embedding(size, units)
        self.recurrent = nn.GRU(units, units, batch_first=True)
        self.head = nn.Linear(units, size)

    def forward(self, before: Tensor, first: int = 0, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Symbols before positions first, first + 1, ...: (N, T) -> their logits (N, T, size), and the state.

        The first position of all has none before it: with `first` 0, T is one less than the number of logits.
        """
        told = self.symbol(before)
        if first == 0:
            told = F.pad(told, (0, 0, 1, 0))
        output, state = self.recurrent(told + self.position[first : first + told.shape[1]], state)
        return self.head(output), state

    def loss(self, symbols: Tensor) -> Tensor:
        """-log p of symbols: (N, M) -> (N,), in nats."""
        logits, _ = self(symbols[:, :-1])
        return F.cross_entropy(logits.transpose(1, 2), symbols, reduction="none").sum(1)
