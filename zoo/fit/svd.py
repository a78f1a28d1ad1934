"""The closed form: scikit-learn finds the principal subspace, and a linear model's weights are set to it."""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch
from sklearn.decomposition import PCA, TruncatedSVD
from torch import Tensor, nn

from zoo.autoencoder import Autoencoder
from zoo.bottlenecks.dense import Dense
from zoo.data.datamodule import ImageData
from zoo.errors import ZooError
from zoo.fit import FitReport
from zoo.objective import Objective


@dataclass(frozen=True)
class Svd:
    """encode(x) = V (x - m), decode(z) = V^T z + m, with m the mean image or zero.

    V: (D, P) holds the leading right singular vectors of the images less m: the best linear code there is, in squared
    error on the training images. C. Eckart, G. Young, "The approximation of one matrix by another of lower rank",
    Psychometrika 1, 1936.

    Args:
        centre: m is the mean image (principal components); otherwise m = 0 (truncated singular value decomposition).
    """

    centre: bool = True

    def __call__(self, model: Autoencoder, data: ImageData, objective: Objective, seed: int) -> FitReport:
        """Write the solution on all of `data.train` into the model's two linear layers; the objective is not read.

        Raises:
            ZooError: the model is not linear, or its code is wider than the data allow.
        """
        encoder, decoder = linear_layers(model)
        x = data.train[:].flatten(1).double()  # in float32 near-equal eigenvalues cost up to 1e-6 of the answer
        width = encoder.out_features
        check_components(width, *x.shape)
        start = time.perf_counter()
        components, mean = self._solve(x, width, seed)
        write_axes(encoder, decoder, components, mean)
        return FitReport(seconds=time.perf_counter() - start, epochs=1, best_epoch=1)

    def _solve(self, x: Tensor, width: int, seed: int) -> tuple[Tensor, Tensor]:
        """Components (D, P) and mean (P,)."""
        if self.centre:
            pca = PCA(width, svd_solver="covariance_eigh").fit(x.numpy())
            return torch.from_numpy(pca.components_), torch.from_numpy(pca.mean_)
        # ARPACK is exact but cannot give all components; the randomised solver is exact when it is asked for all
        algorithm = "arpack" if width < min(x.shape) else "randomized"
        svd = TruncatedSVD(width, algorithm=algorithm, random_state=seed).fit(x.numpy())
        return torch.from_numpy(svd.components_.copy()), x.new_zeros(x.shape[1])


def check_components(width: int, images: int, pixels: int) -> None:
    """ZooError if so many images of so many pixels have not that many principal components."""
    if width > min(images, pixels):
        raise ZooError(
            f"width={width}: {images} images of {pixels} pixels have at most {min(images, pixels)} principal "
            "components; choose a smaller width"
        )


def linear_layers(model: Autoencoder) -> tuple[nn.Linear, nn.Linear]:
    """The only layers of a linear model with a plain bottleneck; ZooError where the model is another."""
    layers = sole_layers(model)
    bottleneck = model.bottleneck
    if layers is None or not isinstance(bottleneck, Dense) or not isinstance(bottleneck.activation, nn.Identity):
        raise ZooError("fit=svd solves network=linear with bottleneck=dense only; give another model fit=gradient")
    return layers


def sole_layers(model: Autoencoder) -> tuple[nn.Linear, nn.Linear] | None:
    """The linear layers of encoder and decoder where each is one and nothing else."""
    layers = [
        [part for part in side if not isinstance(part, nn.Flatten | nn.Unflatten)]
        for side in (model.encoder, model.decoder)
        if isinstance(side, nn.Sequential)
    ]
    match layers:
        case [[nn.Linear() as encoder], [nn.Linear() as decoder]]:
            return encoder, decoder
    return None


@torch.no_grad()
def write_axes(encoder: nn.Linear, decoder: nn.Linear, components: Tensor, mean: Tensor) -> None:
    """Let z = V (x - m) and x_hat = V^T z + m, with components V: (D, P) and m: (P,)."""
    encoder.weight.copy_(components)
    encoder.bias.copy_(-components @ mean)
    decoder.weight.copy_(components.T)
    decoder.bias.copy_(mean)
