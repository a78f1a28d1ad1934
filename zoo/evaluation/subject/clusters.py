"""Clusters of the codes, beside the labels."""

from __future__ import annotations

import warnings
from functools import cached_property
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from zoo.density.mixture import Mixture
from zoo.evaluation.metrics.registry import NotApplicable
from zoo.evaluation.references import BATCH
from zoo.evaluation.subject.basis import Basis, not_applicable

CLUSTERED = 10_000
SEED = 0


@runtime_checkable
class Clustered(Protocol):
    """A prior with one component per cluster."""

    def component(self, z: Tensor) -> Tensor:
        """The most probable component of codes: (B, D) -> (B,) int64."""
        ...


class Clusters(Basis):
    """The cluster of each test code, found in several ways."""

    @cached_property
    def kmeans_clusters(self) -> Tensor:
        """Cluster of each test code, of as many as there are classes: (N,)."""
        from sklearn.cluster import KMeans
        from sklearn.exceptions import ConvergenceWarning

        kmeans = KMeans(self.references.n_classes, n_init=4, random_state=SEED)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # fewer distinct codes than clusters
            kmeans.fit(self.train_codes[:CLUSTERED].numpy())
        return torch.from_numpy(kmeans.predict(self.test_codes.numpy())).long()

    @cached_property
    def mixture_clusters(self) -> Tensor:
        """Most probable component of each test code in a Gaussian mixture, as many as classes: (N,)."""
        with not_applicable():
            mixture = Mixture(self.references.n_classes, codes=CLUSTERED, seed=SEED).fit(self.train_codes)
        return mixture.component(self.test_codes)

    @cached_property
    def prior_clusters(self) -> Tensor:
        """Most probable component of the model's own prior for each test code: (N,); NotApplicable if it has none."""
        prior = getattr(self.model.bottleneck, "prior", None)
        if not isinstance(prior, Clustered):
            raise NotApplicable("the model has no prior with components that could be clusters")
        return torch.cat([prior.component(z.to(self.device)).cpu() for z in torch.split(self.test_codes, BATCH)])
