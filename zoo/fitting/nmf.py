"""Non-negative matrix factorisation by scikit-learn, written into the decoder of a model."""

from __future__ import annotations

import math
import time
import warnings
from dataclasses import dataclass

import numpy as np
import torch
from sklearn.decomposition import NMF
from sklearn.exceptions import ConvergenceWarning
from torch import nn

from zoo.arithmetic import one_thread
from zoo.checks import check_count, check_positive
from zoo.data.splits import Splits
from zoo.errors import ZooError
from zoo.fitting.closed_form import check_components
from zoo.model.autoencoder import Autoencoder
from zoo.model.bottlenecks.pointwise import Pointwise
from zoo.model.networks.nonnegative import NonnegativeLeastSquares
from zoo.objective.objective import Objective
from zoo.types import FitReport

MOST_SAMPLES = 1 << 18


@dataclass(frozen=True)
class Nmf:
    """min |X - Z V^T|^2 over Z >= 0 and V >= 0: samples X: (N, P) as sums of parts, the columns of V: (P, D).

    By scikit-learn's coordinate descent from the non-negative double singular value decomposition (C. Boutsidis, E.
    Gallopoulos, 2008). As nothing is subtracted, columns tend to be parts of images and topics of documents. D. Lee, H.
    Seung, "Learning the parts of objects by non-negative matrix factorization", 1999.

    Columns have unit length and come in the order of |z_i|^2 over the training samples. Sparse samples stay sparse. The
    minimum is a local one, the same for every seed. Of large dense sets, evenly spaced samples are used: at most 256
    MiB, and at most 262,144 samples.

    Args:
        max_iterations: at most.
        tolerance: of scikit-learn's stopping rule.

    Raises:
        ZooError: a number out of range.
    """

    max_iterations: int = 200
    tolerance: float = 1e-4

    def __post_init__(self) -> None:
        check_count(self.max_iterations, "fit.max_iterations")
        check_positive(self.tolerance, "fit.tolerance")

    @one_thread()
    def __call__(self, model: Autoencoder, data: Splits, objective: Objective, seed: int) -> FitReport:
        """Set the decoder's layer to the solution on `data.train`; the objective is not used.

        Raises:
            ZooError: another network or likelihood, samples with negative numbers, or a code with more units than there
                are principal components.
        """
        parts = nonnegative_layer(model)
        check_components(parts.in_features, len(data.train), math.prod(data.shape))
        sparse = data.train.sparse
        x = data.train.spaced(MOST_SAMPLES)[:].flatten(1).numpy() if sparse is None else sparse
        if x.min() < 0:
            raise ZooError(f"fit=nmf: samples of {data.name} have negative numbers; choose fit=pca")
        start = time.perf_counter()
        solver = NMF(
            parts.in_features, init="nndsvda", max_iter=self.max_iterations, tol=self.tolerance, random_state=0
        )
        with warnings.catch_warnings(), np.errstate(invalid="ignore"):  # of an error that rounds to less than 0
            warnings.simplefilter("ignore", ConvergenceWarning)  # the limit is a setting
            z = torch.from_numpy(solver.fit_transform(x))
        v = torch.from_numpy(solver.components_)
        length = v.norm(dim=1)
        order = (z.square().sum(0) * length.square()).argsort(descending=True, stable=True)
        with torch.no_grad():
            parts.weight.copy_((v / length.clamp(min=torch.finfo(v.dtype).tiny)[:, None])[order].T)
        return FitReport(seconds=time.perf_counter() - start, epochs=1, best_epoch=1)


def nonnegative_layer(model: Autoencoder) -> nn.Linear:
    """The decoder's only layer; ZooError where the encoder is no search for non-negative codes in it."""
    bottleneck = model.bottleneck
    if isinstance(bottleneck, Pointwise) and isinstance(bottleneck.activation, nn.Identity):
        match model.encoder:
            case nn.Sequential() as encoder if isinstance(search := encoder[-1], NonnegativeLeastSquares):
                return search.parts
    raise ZooError("fit=nmf needs network=nonnegative, bottleneck=identity, and images or vectors; else fit=gradient")
