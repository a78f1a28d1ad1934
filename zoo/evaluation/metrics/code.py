"""The shape of the code: how many of its units are used, and how."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.evaluation.metrics.registry import Curve, NotApplicable, metric

FREQUENCIES = (0.0, 1e-4, 1e-3, 1e-2, 1e-1, 0.5, 1.0)


@metric("code", "units", "none")
def active_units(test_codes: Tensor) -> float:
    """Code units whose point code has a variance over the test images of more than 0.01.

    For a VAE this is the statistic A_u = Var_x(E[u | x]) > 0.01 of Y. Burda, R. Grosse, R. Salakhutdinov 2015,
    arXiv:1509.00519, section 5.2. It depends on the scale of the code, which is the method's own.

    Args:
        test_codes: (N, D).
    """
    return float((test_codes.double().var(0, correction=0) > 0.01).sum())


@metric("code", "code variance", "none")
def unit_variance(test_codes: Tensor) -> Curve:
    """Variance of each unit's point code over the test images: mean over units, and its deciles.

    Args:
        test_codes: (N, D).
    """
    variance = test_codes.double().var(0, correction=0)
    share = torch.linspace(0, 1, 11, dtype=torch.float64)
    return Curve(
        variance.mean().item(),
        {"share of units": share.tolist(), "variance": variance.quantile(share).tolist()},
    )


@metric("code", "nats per unit", "none")
def unit_kl(posterior_kl: Tensor) -> Curve:
    """KL(q(z_i | x) || N(0, 1)) of each unit of a variational code: mean over test images and units, and its deciles.

    Args:
        posterior_kl: (N, D), in nats.
    """
    kl = posterior_kl.double().mean(0)
    share = torch.linspace(0, 1, 11, dtype=torch.float64)
    return Curve(kl.mean().item(), {"share of units": share.tolist(), "kl": kl.quantile(share).tolist()})


@metric("code", "dimensions", "none")
def effective_rank(test_codes: Tensor) -> float:
    """exp(H(p)), p_i = s_i / sum s: dimensions the test codes use, by the entropy of their singular values s.

    O. Roy, M. Vetterli, "The effective rank", 2007. From 1 to D; independent of rotation and overall scale.

    Args:
        test_codes: (N, D), centred before anything else.

    Raises:
        NotApplicable: all codes are equal.
    """
    s = spectrum(test_codes).sqrt()
    return float(torch.special.entr(s / s.sum()).sum().exp())


@metric("code", "dimensions", "none")
def participation_ratio(test_codes: Tensor) -> float:
    """(sum l)^2 / sum l^2: dimensions the test codes use, by the eigenvalues l of their covariance.

    From 1 to D; independent of rotation and overall scale.

    Args:
        test_codes: (N, D).

    Raises:
        NotApplicable: all codes are equal.
    """
    eigenvalues = spectrum(test_codes)
    return (eigenvalues.sum().square() / eigenvalues.square().sum()).item()


@metric("code", "units", "none")
def l0(test_codes: Tensor) -> Tensor:
    """Units of an image's point code that are not exactly zero.

    Args:
        test_codes: (N, D).

    Raises:
        NotApplicable: no entry is zero.
    """
    return active(test_codes).sum(1).float()


@metric("code", "fraction", "lower")
def dead_fraction(test_maps: Tensor) -> float:
    """Units that are exactly zero in the point code of every test image; a map of a convolution counts as one unit.

    A map is one feature, looked for at many places, and in use although no image has it in a corner.

    Args:
        test_maps: (N, M, places).

    Raises:
        NotApplicable: no entry is zero.
    """
    return 1 - active(test_maps).any(2).any(0).float().mean().item()


@metric("code", "fraction of images", "none")
def firing_frequency(test_codes: Tensor) -> Curve:
    """Test images in whose point code a unit is not zero: mean over units, and units by frequency.

    Args:
        test_codes: (N, D).

    Raises:
        NotApplicable: no entry is zero.
    """
    frequency = active(test_codes).double().mean(0)
    edges = torch.tensor(FREQUENCIES, dtype=torch.float64)
    counts = torch.bincount(torch.bucketize(frequency, edges), minlength=len(edges))
    return Curve(frequency.mean().item(), {"frequency up to": list(FREQUENCIES), "units": counts.tolist()})


@metric("code", "fraction", "higher")
def codebook_use(code_indices: Tensor, codebook_size: int) -> float:
    """Entries of the codebook that some position of some test image uses.

    Args:
        code_indices: (N, M) int64, the entry at each of an image's M positions.
        codebook_size: entries there are.
    """
    return float((torch.bincount(code_indices.flatten()) > 0).sum()) / codebook_size


@metric("code", "entries", "higher")
def codebook_perplexity(code_indices: Tensor, codebook_size: int) -> float:
    """exp(H), H the entropy of the entries' frequencies over all positions of all test images.

    Counted once over the whole test set, not averaged over batches; from 1 to the codebook's size.

    Args:
        code_indices: (N, M) int64, the entry at each of an image's M positions.
        codebook_size: entries there are.
    """
    counts = torch.bincount(code_indices.flatten(), minlength=codebook_size).double()
    return float(torch.special.entr(counts / counts.sum()).sum().exp())


def active(codes: Tensor) -> Tensor:
    """Where codes (N, ...) are not zero; NotApplicable if they are so everywhere."""
    nonzero = codes != 0
    if nonzero.all():
        raise NotApplicable("no entry of the code is exactly zero: it is not a sparse code")
    return nonzero


def spectrum(codes: Tensor) -> Tensor:
    """Eigenvalues of the covariance of codes (N, D): (D,) float64; NotApplicable if all codes are equal."""
    if (codes == codes[0]).all():
        raise NotApplicable("the codes of all test images are equal")
    centred = codes - codes.mean(0)
    eigenvalues: Tensor = torch.linalg.eigvalsh((centred.T @ centred).double() / len(centred))
    return eigenvalues.clamp(min=0)
