"""Codes as dictionaries: what single units and atoms represent, and what reconstructions keep."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.evaluation.measures.cosines import largest_among, largest_cosines
from zoo.evaluation.measures.influence import mean
from zoo.evaluation.measures.sparse_probe import sparse_probes
from zoo.evaluation.registry import IMAGES, Curve, NotApplicable, metric

FEW = 5
SHOWN = (1, 2, FEW, 10)
LEVELS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)


@metric("dictionary", "cosine", "none")
def atom_coherence(atoms: Tensor) -> Curve:
    """Largest absolute cosine of an atom of the decoder with another one: mean over atoms, and deciles.

        max_(j != i) |a_i . a_j|, a_i of unit length

    An atom is what one unit adds to a sample, decode(e_i) - decode(0); those of units that are zero for all training
    samples do not count. 0 for orthogonal atoms, 1 where each has a copy. M atoms in P < M dimensions have a largest
    cosine of at least sqrt((M - P) / (P (M - 1))): L. Welch, "Lower bounds on the maximum cross correlation of
    signals", 1974.

    Misleads: low coherence alone does not make a code better: PCA has orthogonal atoms, which need not be features of
    the data.

    Args:
        atoms: (M, P), unit vectors.

    Raises:
        NotApplicable: there is one atom only.
    """
    if len(atoms) < 2:
        raise NotApplicable("one unit of the code is in use, so that there are no two atoms to compare")
    cosines = largest_among(atoms).double()
    share = torch.linspace(0, 1, 11, dtype=torch.float64)
    table = {"share of atoms": share.tolist(), "largest cosine": cosines.quantile(share).tolist()}
    return Curve(cosines.mean().item(), table, len(atoms))


@metric("dictionary", "cosine", "higher")
def planted_recovery(atoms: Tensor, planted_atoms: Tensor) -> Curve:
    """Largest absolute cosine of a true atom with any atom of the decoder, mean over true atoms.

        1/K sum_k max_i |t_k . a_i|, true atoms t_k and atoms a_i of unit length

    1 where the dictionary that made the samples was found, up to order, signs and lengths; random atoms have the value
    of chance, 0.35 for 128 atoms in 64 dimensions. The curve has, for levels of the cosine, the fraction of true atoms
    that reach it with some atom of the decoder, and the fraction of the decoder's atoms, of units that are in use, that
    reach it with some true atom. The mean max cosine similarity of L. Sharkey, D. Braun, B. Millidge, "Taking features
    out of superposition with sparse autoencoders", 2022.

    Misleads: more atoms give more chances: a larger dictionary scores higher even if it is random.

    Args:
        atoms: (M, P), unit vectors.
        planted_atoms: (K, P), unit vectors.
    """
    return recovery(atoms, planted_atoms)


@metric("dictionary", "cosine", "none")
def planted_recovery_of_dictionary_learning(learned_atoms: Tensor, planted_atoms: Tensor) -> Curve:
    """planted_recovery of scikit-learn's dictionary learning with as many atoms; the same for every model.

        1/K sum_k max_i |t_k . a_i|, true atoms t_k and atoms a_i of dictionary learning, of unit length

    Misleads: it is a reference with one fixed penalty, not the best that dictionary learning can reach.

    Args:
        learned_atoms: (M, P), unit vectors.
        planted_atoms: (K, P), unit vectors.
    """
    return recovery(learned_atoms, planted_atoms)


def recovery(atoms: Tensor, planted: Tensor) -> Curve:
    """How well atoms (M, P) match planted ones (K, P), all unit vectors; see `planted_recovery`."""
    true, own = largest_cosines(planted, atoms).double(), largest_cosines(atoms, planted)
    reached = {
        name: [(cosines > level).double().mean().item() for level in LEVELS]
        for name, cosines in (("true atoms", true), ("atoms", own))
    }
    return Curve(true.mean().item(), {"cosine above": list(LEVELS), **reached}, len(planted))


@metric("dictionary", "fraction", "higher", version=3)
def k_sparse_probe_accuracy(
    train_codes: Tensor,
    train_labels: Tensor,
    validation_codes: Tensor,
    validation_labels: Tensor,
    test_codes: Tensor,
    test_labels: Tensor,
) -> Curve:
    """Accuracy on test samples of a linear probe that uses the best 5 units of the code for each class.

        1/N sum_n [argmax_c (b_c + sum_(i in S_c) w_ci z_ni) = y_n], S_c the 5 units of class c, y_n the label

    A logistic regression on these units separates each class from all others; the class of highest log-odds is
    predicted. Units are chosen on training codes, see `zoo.evaluation.measures.sparse_probe`. The curve has 1, 2, 5 and
    10 units. W. Gurnee et al., "Finding neurons in a haystack: case studies with sparse probing", 2023,
    arXiv:2305.01610; as a measure of dictionaries, A. Karvonen et al., "SAEBench", 2025, arXiv:2503.09532.

    Where this differs from the papers: they rank units one by one, so copies of one unit may take several places, and
    they average the accuracies of two-class probes.

    Misleads: a wide code offers more units to choose from, and a class that is spread over many units scores low
    although the code holds it.

    Args:
        train_codes: (N, D), as the other codes.
        train_labels: (N,), as the other labels.
        validation_codes: choose the penalty.
        validation_labels: of these.
        test_codes: on which the accuracy is measured.
        test_labels: of these.

    Raises:
        NotApplicable: all training samples have one label.
    """
    predicted = sparse_probes(train_codes, train_labels, validation_codes, validation_labels, test_codes, SHOWN)
    right = {k: mean(labels == test_labels) for k, labels in predicted.items()}
    table = {"units": [float(k) for k in SHOWN], "accuracy": [each.value for each in right.values()]}
    return Curve(right[FEW].value, table, influence=(right[FEW].influence,))


@metric("dictionary", "fraction", "higher", version=2, kinds=IMAGES)
def kept_accuracy(reconstruction_logits: Tensor, test_logits: Tensor, test_labels: Tensor) -> Curve:
    """Accuracy on reconstructions of test images of a small classifier that was trained on images of this data set.

        1/N sum_n [argmax_c l_c(x_hat_n) = y_n], l_c(x) the logit of class c for x clipped to [0, 1], y_n the label

    It measures how much of the class survives the bottleneck. The curve also has the accuracy on the test images
    themselves, an upper limit. The classifier is the one in whose features samples are compared (group generation).

    Misleads: the classifier was trained on clean images: a sharp image of a typical digit may score better than a
    faithful but blurred one.

    Args:
        reconstruction_logits: (N, classes).
        test_logits: (N, classes), of the test images.
        test_labels: (N,).
    """
    both = {"reconstructions": reconstruction_logits, "test images": test_logits}
    right = {name: mean(logits.argmax(1) == test_labels) for name, logits in both.items()}
    kept = right["reconstructions"]
    table: dict[str, list[float] | list[str]] = {
        "images": list(right),
        "accuracy": [each.value for each in right.values()],
    }
    return Curve(kept.value, table, influence=(kept.influence,))
