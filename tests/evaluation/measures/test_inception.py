import sys

import pytest
import torch

from tests.evaluation.conftest import measured
from zoo.evaluation.measures.inception import FILE, inception_features, inception_network
from zoo.evaluation.registry import NotApplicable


@pytest.fixture
def nowhere(monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    return tmp_path


def test_without_the_package(pca, digits, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch_fidelity", None)
    monkeypatch.setattr("zoo.evaluation.measures.inception.find_spec", lambda name: None)
    entry = measured(pca, digits, ["inception"], {})["frechet_inception"]
    assert entry["value"] is None
    assert entry["reason"] == "Inception features need the package torch-fidelity, which is not installed"


def test_without_the_weights(nowhere, monkeypatch):
    monkeypatch.setattr("zoo.evaluation.measures.inception.find_spec", lambda name: object())
    with pytest.raises(NotApplicable, match=rf"which are not at {nowhere}.*{FILE}"):
        inception_network()


def test_with_both(nowhere, monkeypatch):
    """The real network, with weights drawn at random in place of the published ones."""
    extractor = pytest.importorskip("torch_fidelity.feature_extractor_inceptionv3").FeatureExtractorInceptionV3
    path = nowhere / "hub" / "checkpoints" / FILE
    path.parent.mkdir(parents=True)
    with monkeypatch.context() as patch:
        patch.setattr(torch, "load", lambda *args, **kwargs: {})
        patch.setattr(torch.nn.Module, "load_state_dict", lambda self, state: None)
        torch.save(extractor("inception-v3-compat", ["2048"], "none").state_dict(), path)
    network, x = inception_network(), torch.rand(3, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        found = inception_features(network, x, torch.device("cpu"))
        rgb = inception_features(network, x.expand(-1, 3, -1, -1) + 0.001, torch.device("cpu"))
    assert found.shape == (3, 2048)
    torch.testing.assert_close(found, rgb)
    with pytest.raises(NotApplicable, match="not images of 2 channels"):
        inception_features(network, x.expand(-1, 2, -1, -1), torch.device("cpu"))
