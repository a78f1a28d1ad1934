"""A small classifier of the data set's labels, whose last hidden layer is the feature space for comparing images."""

from __future__ import annotations

import hashlib
import math
from pathlib import Path

import torch
from safetensors.torch import load, save
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.data.images import Images
from zoo.evaluation.batches import in_batches, joined
from zoo.files import write_atomically
from zoo.types import Shape

WIDTH, CHANNELS, BATCH, EPOCHS, STEPS, RATE = 64, (16, 32), 128, 3, 600, 4e-3
RECIPE = f"{WIDTH} features, {CHANNELS}, AdamW in one cycle to {RATE}, batch {BATCH}, {EPOCHS} epochs or {STEPS} steps"


class FeatureNetwork(nn.Module):
    """Two strided convolutions, a linear layer to 64 features, and a linear layer to logits of the labels.

    Args:
        shape: (C, H, W) of the images.
        classes: number of labels.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, shape: Shape, classes: int) -> None:
        super().__init__()
        c, h, w = shape
        area = math.ceil(h / 4) * math.ceil(w / 4)
        self.body = nn.Sequential(
            nn.Conv2d(c, CHANNELS[0], 3, stride=2, padding=1),
            nn.GELU(),
            nn.Conv2d(CHANNELS[0], CHANNELS[1], 3, stride=2, padding=1),
            nn.GELU(),
            nn.Flatten(),
            nn.Linear(CHANNELS[1] * area, WIDTH),
        )
        self.head = nn.Sequential(nn.GELU(), nn.Linear(WIDTH, classes))
        self.register_buffer("mean", torch.zeros(WIDTH))
        self.register_buffer("std", torch.ones(WIDTH))

    def forward(self, x: Tensor) -> Tensor:
        """Logits of the labels: (B, C, H, W) -> (B, classes)."""
        logits: Tensor = self.head(self.body(x))
        return logits

    def features(self, x: Tensor) -> Tensor:
        """The last hidden layer, standardised on the training images: (B, C, H, W) -> (B, 64)."""
        raw: Tensor = self.body(x)
        return (raw - self.mean) / self.std


def feature_network(train: Images, classes: int, cache: Path | None) -> FeatureNetwork:
    """The classifier of a data set, the same for every model.

    Args:
        train: the training images and their labels.
        classes: number of labels.
        cache: folder that keeps its weights; None trains it again.
    """
    if cache is None:
        return train_classifier(train, classes)
    path = cache / f"features-{_digest(train, classes)}.safetensors"
    if not path.is_file():
        write_atomically(path, save(train_classifier(train, classes).state_dict()))
    network = FeatureNetwork(train.shape, classes)
    network.load_state_dict(load(path.read_bytes()))
    return network.eval()


def train_classifier(train: Images, classes: int, seed: int = 0) -> FeatureNetwork:
    """Train a classifier on images and their labels; `seed` determines the outcome."""
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        torch.manual_seed(seed)
        network = FeatureNetwork(train.shape, classes)
        epochs = min(max(EPOCHS, math.ceil(STEPS * BATCH / len(train))), STEPS)  # of few images, one step an epoch
        steps = epochs * math.ceil(len(train) / BATCH)
        optimizer = torch.optim.AdamW(network.parameters(), fused=True)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, steps)
        for _ in range(epochs):
            for index in torch.split(torch.randperm(len(train)), BATCH):
                loss = F.cross_entropy(network(train[index]), train.labels[index])
                optimizer.zero_grad()
                torch.autograd.backward(loss)
                optimizer.step()
                schedule.step()
    network.eval()
    with torch.no_grad():
        raw = joined((network.body(x) for x in in_batches(train)), len(train))
        network.mean.copy_(raw.mean(0))
        network.std.copy_(raw.std(0))
    return network


def _digest(train: Images, classes: int) -> str:
    """A digest of all pixels, all labels and the recipe."""
    return hashlib.sha256(f"{RECIPE}, {classes} classes, {train.digest()}".encode()).hexdigest()[:16]
