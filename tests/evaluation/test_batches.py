"""Batches put together: the same numbers, and no more memory than they take."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from zoo.evaluation.batches import in_batches, joined


def test_parts_are_joined_in_order():
    x = torch.arange(3000.0).view(1000, 3)
    assert torch.equal(joined(in_batches(x), 1000), x)
    numbers = joined((part[:, 0].long() for part in in_batches(x)), 1000)
    assert numbers.dtype == torch.int64
    assert torch.equal(numbers, x[:, 0].long())
    assert joined(iter(()), 0).shape == (0,)


GROWTH = """
import re
from pathlib import Path
import torch
from torch import nn
from zoo.data.images import Images
from zoo.evaluation.batches import in_batches, joined

def own():
    return int(re.search(r"RssAnon:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024

images = Images(torch.zeros(400_000, 1, 16, 16, dtype=torch.uint8), torch.zeros(400_000, dtype=torch.int64))
model = nn.Sequential(nn.Flatten(), nn.Linear(256, 32))
with torch.no_grad():
    model(images[:512])
    before = own()
    codes = joined((model(x) for x in in_batches(images)), len(images))
print(own() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="measured on Linux only")
def test_many_small_parts_do_not_fragment_the_memory(repository):
    """The codes take 49 MiB. Kept in a list until the end, they took 440 with the gaps between them."""
    done = subprocess.run([sys.executable, "-c", GROWTH], cwd=repository, capture_output=True, text=True, check=True)
    assert 40 < float(done.stdout) < 100
