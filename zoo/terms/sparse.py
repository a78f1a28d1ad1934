"""Terms that train what a sparse rule gives no gradient: units that are never active, and gates."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.func import functional_call
from torch.nn import functional as F

from zoo.autoencoder import Autoencoder
from zoo.bottlenecks.penalised import SOFTNESS
from zoo.bottlenecks.sparse import SparseCode
from zoo.errors import ZooError
from zoo.types import Step


class Revive:
    """AuxK: what the k most excited dead units could have told of the residual e = x - x_hat.

    revive = -log p(e | V z') + log p(e | 0), z' the k largest of the dead units of h, no decoder bias, e held fixed:
    negative where the dead units are of use. Units that are alive get no gradient. None in evaluation.
    L. Gao et al., "Scaling and evaluating sparse autoencoders", 2024, arXiv:2406.04093, appendix A.2.

    There z' = max(h, 0), of units that are dead because others are larger. A unit that a penalty has killed is below
    zero for every image, and would stay so: here z' = softplus(h), bent over a width of 0.1, whose slope is nowhere 0.

    Args:
        k: dead units that may speak at a time; about half of the pixels.
    """

    def __init__(self, k: int = 256) -> None:
        self.k = k

    def __call__(self, model: Autoencoder, x: Tensor, step: Step) -> dict[str, Tensor]:
        """x: (B, C, H, W) -> {"revive": (B,)}, in nats."""
        code = sparse(step, "revive")
        if not (model.training and (dead := int(code.dead.sum()))):
            return {"revive": x.new_zeros(len(x))}
        excited = code.h.masked_fill(~code.dead, -torch.inf)
        values, index = excited.topk(min(self.k, dead), dim=1, sorted=False)
        z = torch.zeros_like(code.h).scatter(1, index, F.softplus(values, 1 / SOFTNESS).to(values))
        residual = (x - model.likelihood.mean(step.raw[: len(x)])).detach()
        raw = model.decoder(F.pad(z, (0, 0, 0, 1)))  # the last row: what the decoder says of no unit at all
        told = raw[:-1] - raw[-1:]
        nll = model.likelihood.nll
        return {"revive": nll(told, residual) - nll(torch.zeros_like(told), residual)}


def gate(model: Autoencoder, x: Tensor, step: Step) -> dict[str, Tensor]:
    """-log p(x | decoder(max(h, 0))) through a frozen decoder: the gradient of a gate. None in evaluation.

    S. Rajamanoharan et al., "Improving dictionary learning with gated sparse autoencoders", 2024, arXiv:2404.16014,
    eq. 8. Gives {"gate": (B,)}, in nats.
    """
    code = sparse(step, "gate")
    if not model.training:
        return {"gate": x.new_zeros(len(x))}
    frozen = {name: weight.detach() for name, weight in model.decoder.named_parameters()}
    raw = functional_call(model.decoder, frozen, (code.h.relu(),))
    return {"gate": model.likelihood.nll(raw, x)}


def sparse(step: Step, term: str) -> SparseCode:
    """The step's code, if a sparse bottleneck made it; ZooError otherwise."""
    if not isinstance(step.code, SparseCode):
        raise ZooError(f"objective term {term}: asks for a sparse code; choose bottleneck=topk or its like")
    return step.code
