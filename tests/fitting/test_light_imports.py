"""Closed forms and the digits need neither Lightning nor torchvision nor torchmetrics, which take seconds to import."""

import subprocess
import sys
from importlib.util import find_spec

HEAVY = ("lightning", "torchvision", "torchmetrics", "matplotlib", "hydra")
SCRIPT = """
import sys
from zoo.model.io import build_model
from zoo.options import build

def imported():
    return sorted(set(sys.argv[1:]) & {name.partition(".")[0] for name in sys.modules})

data = build("data", {"option": "digits", "source": {}})
objective = build("objective", {"option": "elbo"})
prior = {"option": "normal"}
plain = {
    "network": {"option": "linear"},
    "bottleneck": {"option": "identity", "width": 8},
    "likelihood": {"option": "gaussian"},
    "corruption": {"option": "clean"},
}
gaussian = plain | {
    "bottleneck": {"option": "gaussian_posterior", "width": 8, "prior": prior},
    "likelihood": {"option": "gaussian_fitted"},
}
for fit, parts in {
    "pca": plain, "svd": plain, "streaming_pca": plain, "ica": plain, "ppca": gaussian, "factor_analysis": gaussian,
    "nmf": plain | {"network": {"option": "nonnegative"}},
}.items():
    model = build_model(parts, data.shape, seed=0)
    before = (model.reconstruct(data.test[:]) - data.test[:]).square().mean().item()
    build("fit", {"option": fit})(model, data, objective, 0)
    after = (model.reconstruct(data.test[:]) - data.test[:]).square().mean().item()
    print(fit, after < 0.5 * before, *imported())
"""


def test_closed_forms_import_nothing_of_gradient_fits(repository):
    assert all(map(find_spec, HEAVY)), "the packages have other names now"
    command = [sys.executable, "-c", SCRIPT, *HEAVY]
    done = subprocess.run(command, cwd=repository, capture_output=True, text=True, check=True)
    fits = "pca", "svd", "streaming_pca", "ica", "ppca", "factor_analysis", "nmf"
    assert done.stdout.splitlines() == [f"{fit} True" for fit in fits]
