"""Samples of which few values are not zero."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix


@dataclass(frozen=True)
class SparseRows:
    """N vectors of length D in compressed sparse rows: in place of a tensor (N, 1, 1, D) in `Images.pixels`.

    What is read is dense, so that nothing else has to know: counts of 20,000 words in 20,000 documents take 1.6 GB as
    float32, and a hundredth of it here. Closed forms that need no dense matrix take `matrix` itself.

    Attributes:
        matrix: (N, D) float32.
    """

    matrix: csr_matrix

    def __len__(self) -> int:
        return int(self.matrix.shape[0])

    @property
    def shape(self) -> torch.Size:
        """(N, 1, 1, D)."""
        return torch.Size((len(self), 1, 1, self.matrix.shape[1]))

    @property
    def dtype(self) -> torch.dtype:
        """That of the values."""
        return torch.from_numpy(self.matrix.data[:0]).dtype

    @property
    def nbytes(self) -> int:
        """Bytes of values and places."""
        return int(self.matrix.data.nbytes + self.matrix.indices.nbytes + self.matrix.indptr.nbytes)

    @property
    def device(self) -> torch.device:
        """The CPU."""
        return torch.device("cpu")

    def __getitem__(self, index: slice) -> Tensor:
        """The samples of a slice, dense: (B, 1, 1, D)."""
        return torch.from_numpy(self.matrix[index].toarray()).view(-1, 1, 1, self.matrix.shape[1])

    def index_select(self, dim: int, index: Tensor) -> Tensor:
        """The samples at `index`: (B,) whole numbers, dense: (B, 1, 1, D)."""
        return torch.from_numpy(self.matrix[index.numpy()].toarray()).view(-1, 1, 1, self.matrix.shape[1])

    def chosen(self, index: Tensor | slice) -> SparseRows:
        """The samples at `index`, sparse."""
        return SparseRows(self.matrix[index.numpy() if isinstance(index, Tensor) else index])

    def digest(self) -> bytes:
        """Bytes that change with any value."""
        found = hashlib.sha256(str(self.shape).encode())
        for part in (self.matrix.indptr, self.matrix.indices, self.matrix.data):
            found.update(np.ascontiguousarray(part).view(np.uint8).data)
        return found.digest()
