"""Statistics of the code: how many units vary or are active, and how a codebook is used."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from zoo.evaluation.registry import Curve, NotApplicable, metric
from zoo.linear_algebra import eigvalsh, varying_columns

FREQUENCIES = (0.0, 1e-4, 1e-3, 1e-2, 1e-1, 0.5, 1.0)
UNITS, ROWS = 256, 1024  # that sums over codes take at once: PyTorch copies what it sums as 64-bit numbers


@metric("code", "units", "none")
def active_units(test_codes: Tensor) -> float:
    """Code units whose variance over the test samples exceeds 0.01, whatever the scale of the code.

        sum_i [1/N sum_n (z_ni - m_i)^2 > 0.01], m_i = 1/N sum_n z_ni

    For a VAE this is the statistic A_u = Var_x(E[u | x]) > 0.01 of Y. Burda, R. Grosse, R. Salakhutdinov 2015,
    arXiv:1509.00519, section 5.2.

    Misleads: rescaling a code changes the count, so only codes with a fixed scale compare, such as those of VAEs with a
    standard normal prior.

    Args:
        test_codes: (N, D).
    """
    return float((variance(test_codes) > 0.01).sum())


@metric("code", "code variance", "none")
def unit_variance(test_codes: Tensor) -> Curve:
    """Variance of each unit over the test samples: mean over units, and deciles.

        1/D sum_i 1/N sum_n (z_ni - m_i)^2, m_i = 1/N sum_n z_ni

    Misleads: most decoders can undo any scale of the code, so a large variance means nothing by itself.

    Args:
        test_codes: (N, D).
    """
    of_units = variance(test_codes)
    share = torch.linspace(0, 1, 11, dtype=torch.float64)
    return Curve(
        of_units.mean().item(),
        {"share of units": share.tolist(), "variance": of_units.quantile(share).tolist()},
    )


@metric("code", "nats per unit", "none", version=2)
def unit_kl(posterior_kl: Tensor) -> Curve:
    """KL(q(z_i | x) || p(z_i)) of each unit of a variational code: mean over test samples and units, and deciles.

    The prior of a unit is a standard normal or a standard Laplace distribution.

    Misleads: the same mean results from a few informative units beside many unused ones, and from evenly used units:
    look at the deciles.

    Args:
        posterior_kl: (N, D), in nats.
    """
    kl = posterior_kl.double().mean(0)
    share = torch.linspace(0, 1, 11, dtype=torch.float64)
    return Curve(kl.mean().item(), {"share of units": share.tolist(), "kl": kl.quantile(share).tolist()})


@metric("code", "dimensions", "none")
def effective_rank(test_codes: Tensor) -> float:
    """exp(H(p)), p_i = s_i / sum s: effective number of dimensions, by the entropy of the codes' singular values s.

    O. Roy, M. Vetterli, "The effective rank", 2007. From 1 to D; independent of rotation and overall scale.

    Misleads: it rests on variances, and a direction of small variance may carry as much information as one of large
    variance.

    Args:
        test_codes: (N, D); they are centred first.

    Raises:
        NotApplicable: all codes are equal.
    """
    s = eigvalsh(covariance(test_codes)).clamp(min=0).sqrt()
    return float(torch.special.entr(s / s.sum()).sum().exp())


@metric("code", "dimensions", "none")
def participation_ratio(test_codes: Tensor) -> float:
    """(sum l)^2 / sum l^2: effective number of dimensions, by the eigenvalues l of the codes' covariance.

    From 1 to D; independent of rotation and overall scale.

    Misleads: one direction of large variance hides all others, however much information these carry.

    Args:
        test_codes: (N, D).

    Raises:
        NotApplicable: all codes are equal.
    """
    matrix = covariance(test_codes)  # sum l is its trace, and sum l^2 the sum of its squared entries
    return (matrix.trace().square() / matrix.square().sum()).item()


@metric("code", "units", "none")
def l0(test_codes: Tensor) -> Tensor:
    """Number of units per sample that are not exactly zero.

        1/N sum_n sum_i [z_ni != 0]

    Misleads: fewer active units are better only at equal error, and a unit that is nearly but not exactly zero counts
    as active. In codes of fsq, zero is a level as any other.

    Args:
        test_codes: (N, D).

    Raises:
        NotApplicable: no entry is zero.
    """
    return torch.cat([rows.sum(1) for rows in active(test_codes)]).float()


@metric("code", "fraction", "lower", version=2)
def dead_fraction(train_maps: Tensor, test_maps: Tensor) -> Curve:
    """Fraction of units that are zero for every training sample; a feature map of a convolution counts as one unit.

        1/M sum_m [z_nmp = 0 for all n and p], m one of M maps or units, n a training sample, p a place of the map

    A map is one feature at many places and is in use even if no sample has it at some of them. The curve also shows the
    test samples: among few samples, rarely active units may not be active at all.

    Misleads: in a small training set, units that are rarely active look dead.

    Args:
        train_maps: (N, M, places).
        test_maps: (K, M, places).

    Raises:
        NotApplicable: no entry is zero.
    """
    used = [torch.stack([rows.any(0) for rows in active(maps)]).any(0) for maps in (train_maps, test_maps)]
    dead = [1 - units.any(1).float().mean().item() for units in used]
    return Curve(dead[0], {"samples": ["training", "test"], "dead": dead}, len(train_maps))


@metric("code", "fraction of samples", "none")
def firing_frequency(test_codes: Tensor) -> Curve:
    """Fraction of test samples for which a unit is not zero: mean over units, and number of units by frequency.

        1/D sum_i 1/N sum_n [z_ni != 0]

    Misleads: the same mean results from half of the units always being active, and from all being active half of the
    time: look at the curve.

    Args:
        test_codes: (N, D).

    Raises:
        NotApplicable: no entry is zero.
    """
    counts = torch.stack([rows.sum(0) for rows in active(test_codes)])
    frequency = counts.sum(0).double() / len(test_codes)
    edges = torch.tensor(FREQUENCIES, dtype=torch.float64)
    units = torch.bincount(torch.bucketize(frequency, edges), minlength=len(edges))
    return Curve(frequency.mean().item(), {"frequency up to": list(FREQUENCIES), "units": units.tolist()})


@metric("code", "fraction", "higher", version=2)
def codebook_use(code_indices: Tensor, codebook_size: int, codebooks: int) -> float:
    """Fraction of a codebook's entries that occur in the codes of test samples, mean over codebooks.

        1/B sum_b 1/K sum_k [n_bk > 0], n_bk how often entry k of codebook b occurs, of B codebooks of K entries

    Misleads: an entry that occurs once counts as much as one that occurs in every sample.

    Args:
        code_indices: (N, M) int64, the entry at each of a sample's M positions.
        codebook_size: number of entries.
        codebooks: which the positions take in turn.
    """
    return (entry_counts(code_indices, codebook_size, codebooks) > 0).double().mean().item()


@metric("code", "entries", "none", version=2)
def codebook_perplexity(code_indices: Tensor, codebook_size: int, codebooks: int) -> float:
    """exp(H), H the entropy of the frequencies of a codebook's entries in all test samples, mean over codebooks.

    Frequencies are those of the whole test set, not averages over batches. From 1 to the codebook's size, so methods
    with codebooks of several sizes are not ranked by it.

    Misleads: even use is not useful by itself: entries assigned at random have the highest perplexity.

    Args:
        code_indices: (N, M) int64, the entry at each of a sample's M positions.
        codebook_size: number of entries.
        codebooks: which the positions take in turn.
    """
    counts = entry_counts(code_indices, codebook_size, codebooks)
    share = counts.double() / counts.sum(1, keepdim=True)
    return float(torch.special.entr(share).sum(1).exp().mean())


def entry_counts(indices: Tensor, size: int, books: int) -> Tensor:
    """How often each entry of each codebook occurs in (N, M) entries: (books, size) int64."""
    own = indices.view(-1, books) + size * torch.arange(books)
    return own.flatten().bincount(minlength=books * size).view(books, size)


def variance(codes: Tensor) -> Tensor:
    """Variance of each unit of codes (N, D): (D,) float64."""
    return torch.cat([units.double().var(0, correction=0) for units in torch.split(codes, UNITS, dim=1)])


def active(codes: Tensor) -> Iterator[Tensor]:
    """Where codes (N, ...) are not zero, 1,024 samples at a time; in the end, NotApplicable if none was zero."""
    sparse = False
    for rows in torch.split(codes, ROWS):
        nonzero = rows != 0
        sparse = sparse or not nonzero.all()
        yield nonzero
    if not sparse:
        raise NotApplicable("the code is not sparse: no unit is exactly zero for any image")


def covariance(codes: Tensor) -> Tensor:
    """Covariance of those units of codes (N, D) that vary: (U, U) float64; NotApplicable if all codes are equal."""
    if len(codes) == 1:
        raise NotApplicable("there is a single test image, whose code has no variance")
    varying = varying_columns(codes)
    if not varying.any():
        raise NotApplicable("the codes of all test images are equal")
    mean = codes.mean(0)[varying]
    found = torch.zeros(len(mean), len(mean), dtype=torch.float64)
    for rows in torch.split(codes, ROWS):
        centred = rows[:, varying] - mean
        found += centred.T @ centred
    return found / len(codes)
