"""The auxiliary loss that revives the dead units of a sparse code (AuxK)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from zoo.checks import check_count
from zoo.errors import ZooError
from zoo.model.autoencoder import Autoencoder
from zoo.model.bottlenecks.penalised import SOFTNESS
from zoo.types import SparseCode, Step


class Revive:
    """`revive` (AuxK): a reconstruction of the residual e = x - x_hat by the k largest dead units.

    revive = -log p(e | V z') + log p(e | 0), where z' holds the k largest of the dead units of h, without the decoder's
    bias and with e held fixed: negative where the dead units reduce the residual. Other units get no gradient; 0 in
    evaluation. L. Gao et al., "Scaling and evaluating sparse autoencoders", 2024, arXiv:2406.04093, appendix A.2.

    Where this differs from the paper: there, z' = max(h, 0) of units that are dead because others are larger. A unit
    that is dead because of a penalty is negative for every image, so that max(h, 0) has no gradient; here z' =
    softplus(h), smoothed over a width of 0.1.

    Args:
        k: largest number of dead units per image; about half of the pixels.

    Raises:
        ZooError: k is not a whole number of 1 or more.
    """

    def __init__(self, k: int = 256) -> None:
        self.k = check_count(k, "objective.terms: k of revive")

    def __call__(self, model: Autoencoder, x: Tensor, step: Step) -> dict[str, Tensor]:
        """x: (B, C, H, W) -> {"revive": (B,)}, in nats.

        Raises:
            ZooError: the code is not sparse, or the likelihood is no Gaussian, under which a residual is no sample.
        """
        code = sparse_code(step, "revive")
        if model.likelihood.noise_std() is None:
            raise ZooError("objective term revive: needs a Gaussian likelihood; choose objective=elbo, or another one")
        if not (model.training and (dead := int(code.dead.sum()))):
            return {"revive": x.new_zeros(len(x))}
        dead_h = code.h.masked_fill(~code.dead, -torch.inf)
        values, index = dead_h.topk(min(self.k, dead), dim=1, sorted=False)
        z = torch.zeros_like(code.h).scatter(1, index, F.softplus(values, 1 / SOFTNESS).to(values))
        residual = (x - model.likelihood.mean(step.raw[: len(x)])).detach()
        raw = model.decoder(F.pad(z, (0, 0, 0, 1)))  # the last row is the decoder's bias
        explained = raw[:-1] - raw[-1:]
        nll = model.likelihood.nll
        return {"revive": nll(explained, residual) - nll(torch.zeros_like(explained), residual)}


def sparse_code(step: Step, term: str) -> SparseCode:
    """The step's code.

    Args:
        step: the forward pass.
        term: the term's name, for the message.

    Raises:
        ZooError: the code is not sparse.
    """
    if not isinstance(step.code, SparseCode):
        raise ZooError(
            f"objective term {term}: needs a sparse code; choose bottleneck=topk, batch_topk or another sparse one"
        )
    return step.code
