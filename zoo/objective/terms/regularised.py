"""The penalties of regularised autoencoders: norms of the code and of the decoder's weights."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.model.autoencoder import Autoencoder
from zoo.types import Step


def code_norm(model: Autoencoder, x: Tensor, step: Step) -> dict[str, Tensor]:
    """`code_norm`: |z|^2 / 2, a VAE's KL term with the same variance for all images: (B,).

    P. Ghosh et al., "From variational to deterministic autoencoders", 2020, arXiv:1903.12436, eq. 10.
    """
    return {"code_norm": step.code.z.square().sum(1) / 2}


def decoder_norm(model: Autoencoder, x: Tensor, step: Step) -> dict[str, Tensor]:
    """`decoder_norm`: the sum of squares of the decoder's parameters, the same for every image: (B,).

    It prevents that the code shrinks while the decoder grows. P. Ghosh et al. 2020, arXiv:1903.12436, section 3.1:
    Tikhonov regularisation, the "L2" of RAE-L2.
    """
    total = torch.stack([weight.square().sum() for weight in model.decoder.parameters()]).sum()
    return {"decoder_norm": total.expand(len(x))}
