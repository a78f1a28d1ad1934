"""What a regularised autoencoder has in place of a VAE's noise: small codes, and a smooth decoder."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.autoencoder import Autoencoder
from zoo.types import Step


def code_norm(model: Autoencoder, x: Tensor, step: Step) -> dict[str, Tensor]:
    """`code_norm`: |z|^2 / 2, what is left of a VAE's KL term where the variance is the same for all images: (B,).

    P. Ghosh et al., "From variational to deterministic autoencoders", 2020, arXiv:1903.12436, eq. 10.
    """
    return {"code_norm": step.code.z.square().sum(1) / 2}


def decoder_norm(model: Autoencoder, x: Tensor, step: Step) -> dict[str, Tensor]:
    """`decoder_norm`: the sum of squares of the decoder's parameters, the same for every image: (B,).

    Without it the code could shrink while the decoder grows. P. Ghosh et al. 2020, arXiv:1903.12436, section 3.1:
    Tikhonov regularisation, the "L2" of RAE-L2.
    """
    total = torch.stack([weight.square().sum() for weight in model.decoder.parameters()]).sum()
    return {"decoder_norm": total.expand(len(x))}
