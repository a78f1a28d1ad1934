"""Skip-gram with negative sampling: a linear autoencoder of words with another loss."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.checks import check_count, check_fraction, check_positive
from zoo.data.splits import Splits
from zoo.errors import ZooError
from zoo.fitting.closed_form import linear_layers
from zoo.model.autoencoder import Autoencoder
from zoo.objective.objective import Objective
from zoo.types import FitReport

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

DECAY, EPSILON = 0.9, 1e-10  # of RMSprop


@dataclass(frozen=True)
class SkipGram:
    """Minimise the loss of skip-gram with negative sampling over how often words occur near one another.

        L = sum_w sum_c [ N(w, c) softplus(-v_w . u_c) + k N(w) p(c) softplus(v_w . u_c) ]

    with N(w, c) the occurrences of c near w, N(w) their sum over c, and p(c) the frequencies of contexts to the power
    `smoothing`, by which k negatives are drawn for each pair. A word enters as a one-hot vector, so that v_w is a
    column of the linear encoder, and u_c a row of the linear decoder; neither layer has an offset. T. Mikolov et al.,
    "Distributed representations of words and phrases and their compositionality", 2013, eq. 4.

    The sum over pairs and negatives is computed and not sampled: a step takes a block of words and contexts, an
    epoch all blocks. The optimum is that of sampled pairs: O. Levy, Y. Goldberg, "Neural word embedding as implicit
    matrix factorization", 2014, eq. 7. Steps follow RMSprop, whose step does not depend on a word's frequency, with a
    rate that falls linearly to 0; vectors start as in word2vec.

    All words are fitted to, those of the validation set too: a word that is left out would have no vector.

    Limitation: an epoch's time grows with the square of the vocabulary.

    Args:
        epochs: passes over all pairs of words.
        negatives: k.
        smoothing: power of the frequencies that negatives are drawn by.
        rate: of the first step.
        groups: of words, and of contexts, that an epoch's blocks are made of.

    Raises:
        ZooError: a number out of range.
    """

    epochs: int = 5
    negatives: float = 5.0
    smoothing: float = 0.75
    rate: float = 0.045
    groups: int = 40

    def __post_init__(self) -> None:
        check_count(self.epochs, "epochs")
        check_count(self.groups, "fit.groups")
        check_fraction(self.smoothing, "fit.smoothing")
        for name in ("negatives", "rate"):
            check_positive(getattr(self, name), f"fit.{name}")

    def __call__(self, model: Autoencoder, data: Splits, objective: Objective, seed: int) -> FitReport:
        """Fit `model` in place; the objective is not used.

        Raises:
            ZooError: the model is not linear, the samples are no words in one-hot vectors, or the loss is not finite.
        """
        encoder, decoder = linear_layers(model)
        one_hot = data.source.train.sparse
        if data.source.pairs is None or one_hot is None or one_hot.nnz != len(data.source.train):
            raise ZooError(
                f"fit=skip_gram on {data.name}: it needs words in one-hot vectors; choose data=words "
                "data.source.vectors=one_hot"
            )
        start = time.perf_counter()
        generator = torch.Generator().manual_seed(seed)
        near = data.source.pairs.astype(np.float32)
        noise = torch.from_numpy(np.asarray(data.source.pairs.sum(0)).ravel() ** self.smoothing)
        noise = (self.negatives * noise / noise.sum()).float()
        width, size = encoder.weight.shape
        words = Moving((torch.rand(size, width, generator=generator) - 0.5) / width)
        contexts = Moving(torch.zeros(size, width))
        history: dict[str, list[float]] = {"epoch": [], "train_total": []}
        for epoch in range(self.epochs):
            total = self._pass(words, contexts, near, noise, epoch, generator)
            history["epoch"].append(epoch + 1.0)
            history["train_total"].append(total / float(near.sum()))
            if not math.isfinite(total):
                raise ZooError(f"epoch {epoch + 1}: the loss is not a finite number; lower fit.rate ({self.rate:g})")
        with torch.no_grad():
            encoder.weight.copy_(words.vectors.T)
            decoder.weight.copy_(contexts.vectors)
            for layer in (encoder, decoder):
                nn.init.zeros_(layer.bias)
        return FitReport(time.perf_counter() - start, self.epochs, self.epochs, history)

    def _pass(
        self,
        words: Moving,
        contexts: Moving,
        near: csr_matrix,
        noise: Tensor,
        epoch: int,
        generator: torch.Generator,
    ) -> float:
        """One epoch; the sum of its losses."""
        size, total = len(noise), 0.0
        count = min(self.groups, size)
        rows, columns = (torch.randperm(size, generator=generator) for _ in range(2))
        shuffled = near[rows.numpy()][:, columns.numpy()]  # once, as columns of dense blocks are slow to pick
        step, steps = epoch * count**2, self.epochs * count**2
        for places in torch.tensor_split(torch.arange(size), count):
            block, w = torch.from_numpy(shuffled[places.numpy()].toarray()), rows[places]
            pairs = block.sum(1, keepdim=True)
            for part, c in zip(torch.tensor_split(block, count, 1), torch.tensor_split(columns, count), strict=True):
                far = pairs * noise[c]
                loss, of_words, of_contexts = loss_and_gradients(words.vectors[w], contexts.vectors[c], part, far)
                rate = self.rate * (1 - step / steps)
                words.step(w, of_words, rate)
                contexts.step(c, of_contexts, rate)
                total, step = total + loss, step + 1
        return total


class Moving:
    """Vectors that are fitted by RMSprop, some at a time.

    Attributes:
        vectors: (V, D).
        squares: (V, D), running means of their squared gradients.
    """

    def __init__(self, vectors: Tensor) -> None:
        self.vectors, self.squares = vectors, torch.zeros_like(vectors)

    def step(self, rows: Tensor, gradient: Tensor, rate: float) -> None:
        """Move the vectors of `rows`: (B,) against a gradient: (B, D)."""
        squares = torch.lerp(gradient.square(), self.squares[rows], DECAY)
        self.squares[rows] = squares
        self.vectors[rows] -= rate * gradient / (squares.sqrt() + EPSILON)


def loss_and_gradients(v: Tensor, u: Tensor, near: Tensor, far: Tensor) -> tuple[float, Tensor, Tensor]:
    """sum_wc near_wc softplus(-v_w . u_c) + far_wc softplus(v_w . u_c), and its gradients.

    Args:
        v: (B, D), words.
        u: (M, D), contexts.
        near: (B, M), pairs.
        far: (B, M), negatives.

    Returns:
        the loss, and its gradients for v and u.
    """
    scores, both = v @ u.T, near + far
    log_chance = F.logsigmoid(scores)
    loss = (far * scores - both * log_chance).sum()  # softplus(s) = s - log sigmoid(s)
    excess = both * log_chance.exp() - near
    return float(loss), excess @ u, excess.T @ v
