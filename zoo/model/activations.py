"""Activation functions by name, as option files and stored configurations name them."""

from __future__ import annotations

from torch import nn

from zoo.errors import ZooError, nearest

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "identity": nn.Identity,
    "leaky_relu": nn.LeakyReLU,
    "relu": nn.ReLU,
    "sigmoid": nn.Sigmoid,
    "silu": nn.SiLU,
    "softplus": nn.Softplus,
    "tanh": nn.Tanh,
}


def activation_named(name: str) -> type[nn.Module]:
    """The class of an activation.

    Args:
        name: a key of `ACTIVATIONS`.

    Raises:
        ZooError: unknown name.
    """
    if name not in ACTIVATIONS:
        raise ZooError(f"activation={name}: no such activation{nearest(str(name), ACTIVATIONS)}")
    return ACTIVATIONS[name]
