"""Features of Inception-v3, for values that are comparable with those of papers."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn

from zoo.evaluation.registry import NotApplicable

FILE = "weights-inception-2015-12-05-6726825d.pth"
BATCH = 64


def inception_network() -> nn.Module:
    """The network of the Frechet Inception distance, from the package torch-fidelity; nothing is downloaded.

    M. Heusel et al. 2017, arXiv:1706.08500.

    Raises:
        NotApplicable: the package is not installed, or its weights are not in torch's folder of checkpoints.
    """
    if find_spec("torch_fidelity") is None:
        raise NotApplicable("Inception features need the package torch-fidelity, which is not installed")
    path = Path(torch.hub.get_dir()) / "checkpoints" / FILE
    if not path.is_file():
        raise NotApplicable(f"Inception features need the weights of torch-fidelity, which are not at {path}")
    package = import_module("torch_fidelity.feature_extractor_inceptionv3")
    network: nn.Module = package.FeatureExtractorInceptionV3("inception-v3-compat", ["2048"], str(path))
    return network.eval()


def inception_features(network: nn.Module, images: Tensor, device: torch.device) -> Tensor:
    """Pooled features of images (N, 1 or 3, H, W), clipped to [0, 1], rounded to 8 bits, grey as RGB: (N, 2048)."""
    if images.shape[1] not in (1, 3):
        raise NotApplicable(f"Inception takes grey and RGB images, not images of {images.shape[1]} channels")
    network.to(device)
    pixels = images.clamp(0, 1).mul(255).round().to(torch.uint8).expand(-1, 3, -1, -1)
    return torch.cat([network(part.to(device))[0].cpu() for part in torch.split(pixels, BATCH)])
