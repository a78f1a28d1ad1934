"""Clusters of the codes."""

from __future__ import annotations

import warnings
from functools import cached_property

import torch
from torch import Tensor

from zoo.evaluation.batches import BATCH
from zoo.evaluation.registry import NotApplicable
from zoo.evaluation.subject.encoded import Encoded, not_applicable
from zoo.spacing import spaced
from zoo.types import HasComponents

CLUSTERED = 10_000
SEED = 0


class Clustered(Encoded):
    """The cluster of each test code, by several methods."""

    @cached_property
    def kmeans_clusters(self) -> Tensor:
        """Cluster of each test code by k-means, with as many clusters as classes: (N,)."""
        from sklearn.cluster import KMeans
        from sklearn.exceptions import ConvergenceWarning

        kmeans = KMeans(self.references.n_classes, n_init=4, random_state=SEED)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # fewer distinct codes than clusters
            kmeans.fit(spaced(self.train_codes, CLUSTERED).numpy())
        return torch.from_numpy(kmeans.predict(self.test_codes.numpy())).long()

    @cached_property
    def mixture_clusters(self) -> Tensor:
        """Most probable component of each test code in a Gaussian mixture, with as many components as classes: (N,)."""
        from zoo.density.gaussian_mixture import MixtureDensity

        with not_applicable():
            mixture = MixtureDensity(self.references.n_classes, codes=CLUSTERED, seed=SEED).fit(self.train_codes)
        return mixture.component(self.test_codes)

    @cached_property
    def prior_clusters(self) -> Tensor:
        """Most probable component of the model's prior for each test code: (N,); NotApplicable if it has none."""
        prior: object = self.model.bottleneck.prior
        if not isinstance(prior, HasComponents):
            raise NotApplicable("the model has no prior with components")
        return torch.cat([prior.component(z.to(self.device)).cpu() for z in torch.split(self.test_codes, BATCH)])
