"""The atoms of a linear decoder, the atoms that samples were made of, and a classifier's output for reconstructions."""

from __future__ import annotations

from functools import cached_property

from torch import Tensor

from zoo.evaluation.measures.cosines import directions
from zoo.evaluation.registry import NotApplicable
from zoo.evaluation.subject.encoded import Encoded
from zoo.model.linear_decoder import atoms_of


class DictionaryAtoms(Encoded):
    """Atoms, learned and planted, as directions; and the output of an image classifier for reconstructions."""

    @cached_property
    def atoms(self) -> Tensor:
        """Atoms of the decoder, as unit vectors: (M, P), of units that are not zero for some training sample.

        Raises:
            NotApplicable: the decoder is not linear in the code, or no unit is in use.
        """
        found = atoms_of(self.decode, self.train_codes.shape[1])
        if found is None:
            raise NotApplicable("the decoder is not linear in the code, so that it has no atoms")
        used = directions(found.flatten(1) * (self.train_codes != 0).any(0)[:, None])
        if not len(used):
            raise NotApplicable("no unit of the code is in use")
        return used

    @property
    def planted_atoms(self) -> Tensor:
        """The atoms that samples are combinations of, as unit vectors: (K, P); NotApplicable where none are known."""
        return self.references.planted_atoms

    @property
    def learned_atoms(self) -> Tensor:
        """As many atoms by scikit-learn's dictionary learning: (K, P); NotApplicable where none are known."""
        return self.references.learned_atoms

    @cached_property
    def reconstruction_logits(self) -> Tensor:
        """The feature network's logits of the reconstructions: (N, classes)."""
        return self.references.logits(self.x_hat)
