"""Arithmetic of a fit: settings take effect, are exact, and are restored."""

from __future__ import annotations

import os

import pytest
import torch

from zoo.arithmetic import SLOW_CHECK, arithmetic, exact_matmul, flushes_denormals, multiplies_bf16


def now():
    return (
        torch.get_float32_matmul_precision(),
        torch.get_num_threads(),
        flushes_denormals(),
        os.environ.get(SLOW_CHECK),
    )


@pytest.mark.parametrize("check", [None, "1"])
def test_all_settings_are_restored(monkeypatch, check):
    if check is None:
        monkeypatch.delenv(SLOW_CHECK, raising=False)
    else:
        monkeypatch.setenv(SLOW_CHECK, check)
    before = now()
    with arithmetic("medium", 2):
        assert now() == ("medium", 2, True, None)
        with arithmetic("highest", 1):
            assert now() == ("highest", 1, True, None)
        assert now() == ("medium", 2, True, None)
    assert now() == before
    with pytest.raises(RuntimeError, match="stop"), arithmetic("medium", 2):
        raise RuntimeError("stop")
    assert now() == before


def test_denormal_means_of_adam_become_zero_and_weights_do_not_change():
    weight = torch.ones(64, requires_grad=True)
    adam = torch.optim.Adam([weight], lr=1e-3, fused=True)

    def decayed(steps):
        weight.grad = torch.ones(64)
        adam.step()
        weight.grad = torch.zeros(64)
        for _ in range(steps):
            adam.step()
        return adam.state[weight]["exp_avg"]

    mean = decayed(870)  # 0.9^870 is a denormal number
    assert mean.abs().max() < torch.finfo(torch.float32).tiny
    assert mean.count_nonzero() == 64
    kept = weight.detach().clone()
    with arithmetic("highest", 1):
        adam.step()
        assert adam.state[weight]["exp_avg"].count_nonzero() == 0
    assert torch.equal(weight.detach(), kept)


def test_automatic_products_are_as_exact_as_float32():
    x, y = torch.randn(256, 784, generator=torch.Generator().manual_seed(0)), torch.eye(784) / 3
    with arithmetic("auto", 1):
        product = x @ y
    torch.testing.assert_close(product, x / 3, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(
    ("name", "precision"), [("AMD EPYC 9R45", "medium"), ("Intel Xeon", "highest"), ("Neoverse V1", "highest")]
)
def test_the_automatic_precision_depends_on_the_processor(monkeypatch, name, precision):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"cpu_name": name}, raising=False)
    assert exact_matmul() == precision
    monkeypatch.delattr(torch.cpu, "get_capabilities")
    assert exact_matmul() == "highest", "exact on every processor"


@pytest.mark.parametrize(
    ("about", "fast"),
    [
        ({"avx512_bf16": True, "amx_bf16": False}, True),
        ({"avx512_bf16": False, "amx_bf16": True}, True),
        ({"avx512_f": True, "avx512_bf16": False, "amx_bf16": False}, False),
        ({"neon": True}, False),
    ],
)
def test_bf16_is_used_where_the_processor_has_instructions_for_it(monkeypatch, about, fast):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: about, raising=False)
    assert multiplies_bf16(torch.device("cpu")) == fast


def test_an_old_torch_that_does_not_say_computes_in_float32(monkeypatch):
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert not multiplies_bf16(torch.device("cpu"))
