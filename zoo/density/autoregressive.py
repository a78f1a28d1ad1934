"""A density over the entries of a discrete code: each entry given those before it."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.density.held_out import check_enough, check_positive, check_seed, fit_held_out, steps_within
from zoo.errors import ZooError

if TYPE_CHECKING:
    from typing_extensions import Self

    from zoo.types import Discrete

CHUNK = 1024


class AutoregressiveDensity:
    """p(i) = prod_m p(i_m | i_1, ..., i_(m-1)), by a recurrent network over the M entries of a code.

    It is the counterpart, for codes without the layout of an image, of the PixelCNN that A. van den Oord et al. 2017,
    arXiv:1711.00937, section 3.4, fit to the indices of a VQ-VAE. A tenth of the codes is held out, and the weights
    with the lowest loss on it are kept.

    Args:
        units: of the network's state.
        steps: of the optimiser, at most.
        epochs: passes over the codes, at most.
        batch_size: codes per step.
        rate: largest learning rate of AdamW, in one cycle.
        seed: determines initial weights and the order of the codes.

    Raises:
        ZooError: a setting is not positive.
    """

    learned: ClassVar[bool] = True

    def __init__(
        self,
        units: int = 128,
        steps: int = 1500,
        epochs: int = 150,
        batch_size: int = 128,
        rate: float = 4e-3,
        seed: int = 0,
    ) -> None:
        check_positive("autoregressive", units=units, steps=steps, epochs=epochs, batch_size=batch_size, rate=rate)
        check_seed("autoregressive", seed)
        self.units, self.steps, self.epochs, self.batch_size = units, steps, epochs, batch_size
        self.rate, self.seed = rate, seed
        self._codebook: Discrete | None = None

    def bind_codebook(self, codebook: Discrete) -> Self:
        """Take the bottleneck whose entries are described, and return itself."""
        self._codebook = codebook
        return self

    @property
    def codebook(self) -> Discrete:
        """The bottleneck whose entries are described.

        Raises:
            ZooError: there is none yet.
        """
        if self._codebook is None:
            raise ZooError("density=autoregressive describes entries of a codebook; call bind_codebook(...) before fit")
        return self._codebook

    def fit(self, z: Tensor) -> Self:
        """Fit to the entries of codes z: (N, D); the global random state stays as it is.

        Raises:
            ZooError: no codebook is bound, there are too few codes to hold one out, or the fit diverged.
        """
        codebook = self.codebook
        check_enough(z, "an autoregressive density")
        symbols = codebook.indices(z)
        with torch.random.fork_rng(devices=[]), torch.enable_grad():
            torch.manual_seed(self.seed)
            self.network = Recurrent(codebook.codebook_size, symbols.shape[1], self.units)
            fit_held_out(
                self.network,
                lambda part, _: self.network.loss(part),
                symbols,
                steps=steps_within(self.steps, self.epochs, len(symbols), self.batch_size),
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
        return self.codebook.points(symbols)

    @torch.no_grad()
    def log_prob(self, z: Tensor) -> Tensor:
        """Log probabilities (not densities) of the entries of codes z: (N, D) -> (N,) float64, in nats."""
        symbols = self.codebook.indices(z)
        return torch.cat([-self.network.loss(part) for part in torch.split(symbols, CHUNK)]).double()


class Recurrent(nn.Module):
    """Logits of each entry from those before it and from its position, by a gated recurrent unit.

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
        """Entries before positions first, first + 1, ...: (N, T) -> their logits (N, T, size), and the state.

        Nothing precedes position 0: with `first` 0, T is one less than the number of logits.
        """
        inputs = self.symbol(before)
        if first == 0:
            inputs = F.pad(inputs, (0, 0, 1, 0))
        output, state = self.recurrent(inputs + self.position[first : first + inputs.shape[1]], state)
        return self.head(output), state

    def loss(self, symbols: Tensor) -> Tensor:
        """-log p of entries: (N, M) -> (N,), in nats."""
        logits, _ = self(symbols[:, :-1])
        return F.cross_entropy(logits.flatten(0, 1), symbols.flatten(), reduction="none").view(symbols.shape).sum(1)
