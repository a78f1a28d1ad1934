"""Exported encoders and decoders compute what the model computes."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits, load_wine

from zoo.api import fit
from zoo.errors import ZooError
from zoo.use.export import export, plain

DIGITS, WINE = load_digits().images, load_wine().data
COLOUR = np.random.default_rng(0).integers(0, 255, (60, 8, 8, 3)).astype(np.uint8)
ONNX = [("pca", WINE), ("topk", DIGITS), ("vq_vae", DIGITS), ("conv_ae", COLOUR)]
TORCH = [("vae", DIGITS), ("nested_dropout", DIGITS), ("matching_pursuit", COLOUR.transpose(0, 3, 1, 2))]


def fitted(variant, x, **more):
    return fit(variant, x, width=6, epochs=1, progress=False, **more)


def close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4 * max(1.0, np.abs(expected).max()))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("variant", "x"), ONNX, ids=[variant for variant, _ in ONNX])
def test_onnx(variant, x, tmp_path):
    runtime = pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
    pytest.importorskip("onnxscript", reason="the extra onnx is not installed")
    model = fitted(variant, x)
    encoder, decoder = (
        runtime.InferenceSession(path, providers=["CPUExecutionProvider"]) for path in export(model, tmp_path)
    )
    for n in (1, 7):
        given = x[:n].astype(np.float32)
        (codes,) = encoder.run(None, {"x": given})
        close(codes, model.encode(x[:n]))
        (again,) = decoder.run(None, {"codes": codes})
        assert again.shape == given.shape
        close(again, model.decode(codes))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("variant", "x"), TORCH, ids=[variant for variant, _ in TORCH])
def test_torch(variant, x, tmp_path):
    model = fitted(variant, x)
    encoder, decoder = (torch.export.load(path).module() for path in export(model, tmp_path, "torch"))
    for n in (1, 7):
        codes = encoder(torch.from_numpy(x[:n].astype(np.float32)))
        close(codes.numpy(), model.encode(x[:n]))
        close(decoder(codes).numpy(), model.decode(codes))


@pytest.mark.filterwarnings("ignore")
def test_what_onnx_lacks_is_one_sentence(tmp_path):
    pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
    pytest.importorskip("onnxscript", reason="the extra onnx is not installed")
    with pytest.raises(ZooError, match=r"onnx: the encoder of this model cannot be exported \(.*\); choose another"):
        export(fitted("matching_pursuit", DIGITS), tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_plain_copy_leaves_the_model_as_it_is():
    model = fitted("topk", DIGITS)
    codes, copied = model.encode(DIGITS[:5]), plain(model.module)
    assert not any("parametrizations" in name for name, _ in copied.named_parameters())
    np.testing.assert_allclose(copied.encode(model.form.inward(DIGITS[:5])).numpy(), codes, atol=1e-6)
    assert np.array_equal(model.encode(DIGITS[:5]), codes)


def test_without_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ZooError, match=r"ONNX needs other packages: pip install 'bottleneck-zoo\[onnx\]'"):
        export(fitted("pca", WINE), tmp_path)
