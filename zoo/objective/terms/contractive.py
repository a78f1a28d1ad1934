"""The contractive penalty: the squared norm of the encoder's Jacobian."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zoo.errors import ZooError
from zoo.model.autoencoder import Autoencoder
from zoo.model.bottlenecks.pointwise import Pointwise
from zoo.types import Step


def contractive(model: Autoencoder, x: Tensor, step: Step) -> dict[str, Tensor]:
    """`contractive`: |dz / dx|_F^2 at the encoder's input, for the deterministic code z: (B,).

    S. Rifai et al., "Contractive auto-encoders: explicit invariance during feature extraction", ICML 2011. Exact for an
    encoder of one layer; estimated with one backward pass for others.

    Limitations: a decoder with weights of its own can undo a smaller code, which makes the penalty ineffective; tie its
    weights to the encoder's, as the paper does.

    Raises:
        ZooError: the encoder has no gradient.
    """
    bottleneck = model.bottleneck
    match model.encoder:
        case nn.Sequential() as layers if isinstance(bottleneck, Pointwise):
            match list(layers):
                case [nn.Flatten(), nn.Linear() as layer]:
                    return {"contractive": exact_for_layer(layer, bottleneck.activation, step.seen)}
    return {"contractive": estimate(model, step.seen, step.generator)}


def exact_for_layer(layer: nn.Linear, activation: nn.Module, x: Tensor) -> Tensor:
    """|dz / dx|_F^2 = sum_i f'(h_i)^2 |W_i|^2 for z = f(W x + a) with f unit by unit: (B,)."""
    with torch.inference_mode(False), torch.enable_grad():
        h = layer(x.clone().flatten(1))
        (slope,) = torch.autograd.grad(activation(h).sum(), h, create_graph=True)
        penalty: Tensor = slope.square() @ layer.weight.square().sum(1)
        return penalty


def estimate(model: Autoencoder, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """|v^T dz / dx|^2 with a vector of signs v, whose mean over v is |dz / dx|_F^2: (B,).

    M. Hutchinson, "A stochastic estimator of the trace of the influence matrix", 1989. Instead of random signs, the
    images of a batch take the rows of a Hadamard matrix in turn, from a random one on: these average to the identity
    exactly, and the random start does so for batches of fewer images than rows. The bottleneck is in evaluation mode:
    it has counted this batch in the forward pass.
    """
    from scipy.linalg import hadamard

    bottleneck = model.bottleneck
    with torch.inference_mode(False), torch.enable_grad():
        x = x.clone().requires_grad_()
        h, training = model.encoder(x), bottleneck.training  # x is what the encoder sees, after any corruption
        z = bottleneck.eval().point(h)
        bottleneck.train(training)
        if not z.requires_grad:
            raise ZooError("objective.terms=contractive: the encoder has no gradient; choose another network")
        rows = torch.from_numpy(hadamard(1 << (z.shape[1] - 1).bit_length())).to(z)
        start = torch.randint(len(rows), (), generator=generator, device=z.device)
        v = rows[(start + torch.arange(len(z), device=z.device)) % len(rows), : z.shape[1]]
        (moved,) = torch.autograd.grad((v * z).sum(), x, create_graph=True)
        return moved.square().flatten(1).sum(1)
