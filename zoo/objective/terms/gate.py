"""The auxiliary loss of gated sparse autoencoders, which trains the gate."""

from __future__ import annotations

from torch import Tensor
from torch.func import functional_call

from zoo.model.autoencoder import Autoencoder
from zoo.objective.terms.revive import sparse_code
from zoo.types import Step


def gate(model: Autoencoder, x: Tensor, step: Step) -> dict[str, Tensor]:
    """`gate`: -log p(x | decoder(max(h, 0))) with the decoder's weights held fixed, in nats: (B,); 0 in evaluation.

    S. Rajamanoharan et al., "Improving dictionary learning with gated sparse autoencoders", 2024, arXiv:2404.16014,
    eq. 8.

    Raises:
        ZooError: the code is not sparse.
    """
    code = sparse_code(step, "gate")
    if not model.training:
        return {"gate": x.new_zeros(len(x))}
    frozen = {name: weight.detach() for name, weight in model.decoder.named_parameters()}
    raw = functional_call(model.decoder, frozen, (code.h.relu(),))
    return {"gate": model.likelihood.nll(raw, x)}
