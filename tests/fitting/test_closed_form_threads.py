"""Closed forms compute with one thread, whatever a process may use: sums that are split differ in their last bits."""

from __future__ import annotations

import os
import subprocess
import sys

from zoo.options import names, template

CLOSED = [name for name in names("fit") if "epochs" not in template("fit", name)]
SCRIPT = """
import hashlib, sys
import torch
from zoo.data.images import Images, Source
from zoo.data.splits import Splits
from zoo.model.io import build_model
from zoo.options import build

torch.set_num_threads(int(sys.argv[1]))
pixels = torch.rand(600, 1, 12, 12, generator=torch.Generator().manual_seed(0))
images = Images(pixels, torch.zeros(len(pixels), dtype=torch.int64), scale=1.0)
data, objective = Splits(Source("random", images, images)), build("objective", {"option": "elbo"})
parts = {
    "network": {"option": "linear"},
    "bottleneck": {"option": "identity", "width": 8},
    "likelihood": {"option": "gaussian"},
    "corruption": {"option": "clean"},
}
gaussian = parts | {
    "bottleneck": {"option": "gaussian_posterior", "width": 8, "prior": {"option": "normal"}},
    "likelihood": {"option": "gaussian_fitted"},
}
special = {"ppca": gaussian, "factor_analysis": gaussian, "nmf": parts | {"network": {"option": "nonnegative"}}}
for name in sys.argv[2:]:
    model = build_model(special.get(name, parts), data.shape, seed=0)
    build("fit", {"option": name})(model, data, objective, 0)
    weights = b"".join(weight.numpy().tobytes() for weight in model.state_dict().values())
    print(name, hashlib.sha256(weights).hexdigest(), torch.get_num_threads())
"""


def fitted(repository, threads):
    command = [sys.executable, "-c", SCRIPT, str(threads), *CLOSED]
    limits = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), str(threads))
    done = subprocess.run(command, cwd=repository, env=os.environ | limits, capture_output=True, text=True, check=True)
    lines = [line.split() for line in done.stdout.splitlines()]
    assert {threads for *_, threads in lines} == {str(threads)}, "the process has as many threads as before"
    return {name: digest for name, digest, _ in lines}


def test_threads_change_no_bit_of_a_closed_form(repository):
    one, two = fitted(repository, 1), fitted(repository, 2)
    assert sorted(one) == sorted(CLOSED)
    assert [name for name in CLOSED if one[name] != two[name]] == []
