"""Synthetic images with a known dictionary: sparse combinations of random atoms."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor
from torch.nn import functional as F

from zoo.checks import check_count, check_finite
from zoo.data.images import Images, Source
from zoo.data.room import check_room
from zoo.errors import ZooError

AT_ONCE, TRIED = 64, 50  # random directions that are drawn at once, and how often, until one can be an atom


@cache
def planted(
    size: int = 8,
    atoms: int = 128,
    active: int = 4,
    exponent: float = 0.5,
    coherence: float = 0.3,
    noise: float = 0.1,
    n_train: int = 20_000,
    n_test: int = 4_000,
    seed: int = 0,
) -> Source:
    """Sparse non-negative combinations of known atoms, plus noise, 1 x size x size; the source knows the atoms.

        y = sum_{i in S} c_i a_i + noise e / size,   c_i ~ U[1/2, 3/2],   e ~ N(0, I),   x = 1/2 + y / (2 max |y|)

    S holds `active` different atoms, drawn one after another with probabilities proportional to rank^-exponent, so that
    the first atoms are the most frequent. The maximum is over all images, training and test, so that x is in [0, 1],
    and is still an exact combination of the atoms about a grey image. The expected length of the noise is about
    `noise`, that of an atom is 1. There are no labels.

    Random unit vectors as the true dictionary: M. Aharon, M. Elad, A. Bruckstein, "K-SVD: an algorithm for designing
    overcomplete dictionaries for sparse representation", 2006, section V.A; frequencies that differ: L. Sharkey, D.
    Braun, B. Millidge, "Taking features out of superposition with sparse autoencoders", 2022.

    Args:
        size: height and width of an image, in pixels.
        atoms: number of atoms; more than the size^2 pixels for an overcomplete dictionary.
        active: atoms of an image.
        exponent: 0 for equal frequencies, 1 for Zipf's law.
        coherence: largest absolute cosine of two atoms, in (0, 1]. Atoms are drawn uniformly on the sphere, one after
            another, and again where they are closer to an earlier one.
        noise: see there.
        n_train: number of training images.
        n_test: number of test images.
        seed: determines atoms and images.

    Raises:
        ZooError: a number out of range, or no atom found that keeps the coherence.
    """
    for name, count in (("size", size), ("atoms", atoms), ("active", active), ("n_test", n_test)):
        check_count(count, f"data.source.{name}")
    check_count(n_train, "data.source.n_train", 2)
    for name, value in (("exponent", exponent), ("noise", noise)):
        check_finite(value, f"data.source.{name}", 0)
    if active > atoms:
        raise ZooError(f"data.source.active={active}: an image has at most all of data.source.atoms={atoms}")
    if not 0 < coherence <= 1:
        raise ZooError(f"data.source.coherence={coherence}: a cosine above 0, at most 1")
    needed = 8 * (atoms * size**2 + (n_train + n_test) * (atoms + 3 * size**2))
    check_room(needed, f"data=planted of data.source.size={size}", "choose a smaller size, or fewer images or atoms")
    generator = torch.Generator().manual_seed(seed)
    found = incoherent(atoms, size**2, coherence, generator)
    frequencies = torch.arange(1, atoms + 1, dtype=torch.float64) ** -exponent
    chosen = torch.multinomial(frequencies.expand(n_train + n_test, -1), active, generator=generator)
    shares = 0.5 + torch.rand(chosen.shape, generator=generator, dtype=torch.float64)
    y = torch.zeros(len(chosen), atoms, dtype=torch.float64).scatter(1, chosen, shares) @ found
    y += noise / size * torch.randn(y.shape, generator=generator, dtype=torch.float64)
    x = (0.5 + y / (2 * y.abs().max())).float().view(-1, 1, size, size)
    train, test = (
        Images(part, torch.zeros(len(part), dtype=torch.int64), scale=1.0)
        for part in x.split_with_sizes([n_train, n_test])
    )
    return Source("planted", train, test, atoms=found.float().view(-1, 1, size, size))


def incoherent(count: int, dimension: int, coherence: float, generator: torch.Generator) -> Tensor:
    """Random unit vectors of which no two have an absolute cosine above `coherence`: (count, dimension), float64."""
    found = torch.zeros(count, dimension, dtype=torch.float64)
    for place in range(count):
        for _ in range(TRIED):
            drawn = F.normalize(torch.randn(AT_ONCE, dimension, generator=generator, dtype=torch.float64), dim=1)
            if len(fitting := ((drawn @ found.T).abs().amax(1) <= coherence).nonzero()):
                found[place] = drawn[fitting[0, 0]]
                break
        else:
            raise ZooError(
                f"data.source.coherence={coherence}: {place} of {count} atoms in {dimension} dimensions were found "
                "that keep it; choose a larger one, or fewer atoms"
            )
    return found
