"""The principal axes of images, by the solver that their number and size allow; memory stays below 1 GB."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from zoo.data.images import Images
from zoo.fitting.closed_form import check_components
from zoo.linear_algebra import eigh

BLOCK = 1 << 25  # bytes of float64 images that are converted at a time
DECOMPOSED = 1 << 27  # bytes of float64 images up to which they are decomposed as a whole, which takes four copies
SQUARE = 4096  # side of the largest matrix whose eigenvectors are computed
SPARE = 10  # axes that the iteration follows beyond those that are needed
PASSES, TOLERANCE = 50, 1e-12  # of the iteration: at most, and the relative gain in variance below which it ends


@dataclass(frozen=True)
class PrincipalAxes:
    """Eigenvectors of the covariance, or of the second moment about zero, divided by N; all in float64.

    The sign of each axis makes its largest entry positive, as in scikit-learn.

    Attributes:
        mean: (P,), the origin: the mean image, or zero.
        variances: (R,), the largest eigenvalues in descending order.
        axes: (R, P), their unit eigenvectors as rows.
        total: the sum of all P eigenvalues.
    """

    mean: Tensor
    variances: Tensor
    axes: Tensor
    total: Tensor

    def mean_of_rest(self, width: int) -> Tensor:
        """The mean of the P - `width` smallest eigenvalues, of which N < P images leave some zero; 0 if there are none.

        Where all P eigenvalues are known, they are averaged; a difference of sums would lose digits.
        """
        pixels = self.axes.shape[1]
        if width == pixels:
            return self.total.new_zeros(())
        if len(self.variances) == pixels:
            return self.variances[width:].mean()
        return (self.total - self.variances[:width].sum()).clamp(min=0) / (pixels - width)


def leading_axes(
    images: Images, width: int, centre: bool = True, batch_size: int = 1024, seed: int = 0
) -> PrincipalAxes:
    """At least the `width` leading axes of N images of P pixels.

    | images | solver | error |
    | --- | --- | --- |
    | N >= P, P <= 4096 or all axes needed | eigenvectors of the covariance, P x P, from one pass | rounding |
    | N < P, up to 128 MiB as float64 | singular value decomposition of the images | rounding |
    | other, N <= 4096 | eigenvectors of the products of images, N x N, from which the iteration starts | rounding |
    | other | subspace iteration from random axes, at most 50 passes | small where eigenvalues fall quickly |

    Limitations: the iteration keeps a few arrays of P x (`width` + 10) numbers. It is approximate where eigenvalues
    near number `width` are nearly equal, of which it may return any mixture; the variance explained is then the same.

    Args:
        images: N images of P pixels; read in blocks, unless they are decomposed.
        width: number of axes.
        centre: axes through the mean image; otherwise through zero.
        batch_size: largest number of images of a block.
        seed: of the iteration's random start.

    Raises:
        ZooError: `width` is larger than the number of principal components.
    """
    n, p = len(images), math.prod(images.shape)
    check_components(width, n, p)
    if n >= p and (p <= SQUARE or width == p):
        return _of_covariance(images, centre, batch_size)
    if n < p and 8 * n * p <= DECOMPOSED:
        return _of_decomposition(images, centre)
    return _iterated(images, width, centre, batch_size, seed)


def moments(images: Images, batch_size: int) -> tuple[Tensor, Tensor]:
    """Mean (P,) and covariance (P, P), divided by N, of flattened images, in one pass and in float64.

    Batches are combined by the update of T. Chan, G. Golub, R. LeVeque, "Updating formulae and a pairwise algorithm for
    computing sample variances", 1979, eq. 2.1, because sums of squares about zero suffer from cancellation.
    """
    p = math.prod(images.shape)
    n, mean = 0, torch.zeros(p, dtype=torch.float64)
    scatter = torch.zeros(p, p, dtype=torch.float64)
    # in place: new arrays for each block would fragment the memory
    for x in _blocks(images, batch_size):
        centre = x.mean(0)
        shift, both = centre - mean, n + len(x)
        x.sub_(centre)
        scatter.addmm_(x.T, x)
        scatter.addr_(shift, shift, alpha=n * len(x) / both)
        mean += shift.mul_(len(x) / both)
        n = both
    return mean, scatter.div_(n)


def _blocks(images: Images, batch_size: int, origin: Tensor | float = 0.0) -> Iterator[Tensor]:
    """All images minus `origin`, in stored order and float64: (B, P) each."""
    size = max(1, min(batch_size, BLOCK // (8 * math.prod(images.shape))))
    for start in range(0, len(images), size):
        yield images[start : start + size].flatten(1).double().sub_(origin)


def _of_covariance(images: Images, centre: bool, batch_size: int) -> PrincipalAxes:
    mean, covariance = moments(images, batch_size)
    if not centre:
        covariance.addr_(mean, mean)
        mean = torch.zeros_like(mean)
    total = covariance.trace()
    variances, vectors = eigh(covariance)
    return PrincipalAxes(mean, variances.flip(0).clamp(min=0), _signed(vectors.T.flip(0)), total)


def _of_decomposition(images: Images, centre: bool) -> PrincipalAxes:
    x = images[:].flatten(1).double()
    mean = x.mean(0) if centre else x.new_zeros(x.shape[1])
    _, singular, axes = torch.linalg.svd(x.sub_(mean), full_matrices=False)
    variances = singular.square() / len(x)
    return PrincipalAxes(mean, variances, _signed(axes), variances.sum())


def _iterated(images: Images, width: int, centre: bool, batch_size: int, seed: int) -> PrincipalAxes:
    """Subspace iteration: Q <- orthonormal(C Q), then the eigenvectors of Q^T C Q, with C never formed.

    N. Halko, P. Martinsson, J. Tropp, "Finding structure with randomness", 2011, arXiv:0909.4061, algorithm 4.4.
    """
    n, p = len(images), math.prod(images.shape)
    mean = torch.zeros(p, dtype=torch.float64)
    # sums are added in place: a list of them, allocated between blocks, would fragment the memory
    for x in _blocks(images, batch_size) if centre else ():
        mean += x.sum(0).div_(n)
    total = torch.zeros((), dtype=torch.float64)
    for x in _blocks(images, batch_size, mean):
        total += x.square_().sum().div_(n)

    def product(q: Tensor) -> Tensor:
        """C q: (P, K), of q: (P, K)."""
        found = torch.zeros_like(q)
        for x in _blocks(images, batch_size, mean):
            found.addmm_(x.T, x @ q, alpha=1 / n)
        return found

    count = min(width + SPARE, n, p)
    if n <= SQUARE:
        basis = _from_products(images, count, batch_size, mean)
    else:
        basis = torch.randn(p, count, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    image, explained, before = basis, 0.0, -math.inf
    for _ in range(PASSES):
        if explained - before <= TOLERANCE * explained:
            break
        basis = torch.linalg.qr(image).Q
        image = product(basis)
        variances, turn = eigh(basis.T @ image)
        before, explained = explained, float(variances[-width:].sum())
    axes = (basis @ turn).T.flip(0)[:width]
    return PrincipalAxes(mean, variances.flip(0)[:width].clamp(min=0), _signed(axes), total)


def _from_products(images: Images, count: int, batch_size: int, origin: Tensor) -> Tensor:
    """X^T U: (P, count), with the leading eigenvectors U of X X^T: (N, N), which span the leading axes."""
    products = torch.zeros(len(images), len(images), dtype=torch.float64)
    row = 0
    for x in _blocks(images, batch_size, origin):
        column = 0
        for y in _blocks(images, batch_size, origin):
            if column > row:
                break
            products[row : row + len(x), column : column + len(y)] = x @ y.T
            column += len(y)
        row += len(x)
    vectors = eigh(products)[1][:, -count:].flip(1)  # which reads the lower triangle
    found, row = torch.zeros(len(origin), count, dtype=torch.float64), 0
    for x in _blocks(images, batch_size, origin):
        found.addmm_(x.T, vectors[row : row + len(x)])
        row += len(x)
    return found


def _signed(axes: Tensor) -> Tensor:
    """The rows with their signs such that the largest entry is positive."""
    largest = axes.gather(1, axes.abs().argmax(1, keepdim=True))
    return axes * largest.sign()
