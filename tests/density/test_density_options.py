"""The option files of densities: what they build, and what they say."""

import inspect

import pytest
import torch

from zoo.errors import ZooError
from zoo.options import build, imported, names, shipped, template
from zoo.types import Discrete

NAMES = names("density")


class Entries:
    """A codebook of two entries, one per unit."""

    codebook_size, codebooks = 2, 1

    def indices(self, point):
        return (point > 0).long()

    def points(self, indices):
        return 2.0 * indices - 1


def fitted(name, z, **settings):
    density = build("density", {"option": name, **settings})
    if name == "autoregressive":
        density.bind_codebook(Entries())
    return density.fit(z)


@pytest.mark.parametrize("name", NAMES)
def test_a_file_lists_every_setting_with_its_default(name):
    settings = template("density", name)
    parameters = inspect.signature(imported(settings["_target_"])).parameters
    listed = {key: value for key, value in settings.items() if key != "_target_"}
    assert listed.keys() == parameters.keys()
    for key, value in listed.items():
        assert value == (list(default) if isinstance(default := parameters[key].default, tuple) else default), key


@pytest.mark.parametrize("name", NAMES)
def test_a_file_says_where_it_belongs_and_what_it_is(name):
    package, about, *_ = (shipped() / "density" / f"{name}.yaml").read_text().splitlines()
    assert package == f"# @package density.{name}"
    assert about.startswith("# ")
    assert about.endswith(".")


SHORT = {name: {"steps": 20} for name in ("flow", "flow_matching", "two_stage_vae", "autoregressive")}


@pytest.mark.parametrize("name", NAMES)
def test_a_node_builds_a_density(name):
    assert isinstance(Entries(), Discrete)
    z = torch.randn(200, 4, generator=torch.Generator().manual_seed(0))
    z = z.sign() if name == "autoregressive" else z
    density = fitted(name, z, **SHORT.get(name, {}))
    assert density.learned is (name in SHORT)
    assert density.sample(7, 0).shape == (7, 4)
    assert density.sample(7, 0).dtype == torch.float32
    assert density.log_prob(z).shape == (200,)
    assert density.log_prob(z).dtype == torch.float64


@pytest.mark.parametrize(
    ("name", "settings", "attribute", "value"),
    [
        ("mixture", {"components": 3}, lambda d: d.mixture.n_components, 3),
        ("kernel", {"bandwidths": [0.7]}, lambda d: d.kernel.bandwidth, 0.7),
        ("flow", {"layers": 2}, lambda d: len(d.learner.flow.transform.transforms), 2),
        ("flow", {"leading": 1}, lambda d: d.lead, 1),
        ("flow_matching", {"hidden": 8}, lambda d: next(d.learner.parameters()).shape[0], 8),
        ("two_stage_vae", {"samples": 3}, lambda d: d.learner.samples, 3),
        ("autoregressive", {"units": 8}, lambda d: d.network.recurrent.hidden_size, 8),
    ],
)
def test_settings_reach_what_is_fitted(name, settings, attribute, value):
    z = torch.randn(200, 4, generator=torch.Generator().manual_seed(0))
    assert attribute(fitted(name, z, **SHORT.get(name, {}), **settings)) == value
    assert attribute(fitted(name, z, **SHORT.get(name, {}))) != value


@pytest.mark.parametrize("name", [name for name in NAMES if len(template("density", name)) > 1])
def test_settings_that_are_refused(name):
    numbers = {key: value for key, value in template("density", name).items() if isinstance(value, int | float)}
    for key in numbers.keys() - {"seed"}:
        for bad in (0, -1):
            with pytest.raises(ZooError, match=rf"density.{name}.{key}={bad}: must be greater than 0 and finite"):
                build("density", {"option": name, key: bad})
        with pytest.raises(ZooError, match=rf"density={name}: {key}=many: must be a (whole )?number"):
            build("density", {"option": name, key: "many"})


@pytest.mark.parametrize(("bandwidths", "message"), [([], "at least one candidate"), ([0.1, 0], "greater than 0")])
def test_bandwidths_that_are_refused(bandwidths, message):
    with pytest.raises(ZooError, match=message):
        build("density", {"option": "kernel", "bandwidths": bandwidths})
