"""Codes on the plane of their leading axes."""

import pytest
import torch

from zoo.evaluation.measures.code_plane import plane_of


def test_a_plane_in_space_is_found_with_its_share_of_the_variance():
    generator = torch.Generator().manual_seed(0)
    flat = torch.randn(200, 2, generator=generator) * torch.tensor([3.0, 1.0])
    axes = torch.linalg.qr(torch.randn(5, 5, generator=generator)).Q
    noise = 0.01 * torch.randn(200, 3, generator=generator)
    found = plane_of(torch.cat([flat, noise], 1) @ axes.T + 7, ["a"] * 200)
    assert found.share == pytest.approx(1, abs=1e-3)
    torch.testing.assert_close(
        torch.cdist(found.points, found.points).float(), torch.cdist(flat, flat), atol=0.05, rtol=0
    )
    assert (found.points.amax(0) >= -found.points.amin(0)).all(), "the sign is settled"
    curve = found.as_curve("name")
    assert list(curve.table) == ["name", "x", "y"]
    assert max(curve.table["x"]) - min(curve.table["x"]) == pytest.approx(1, abs=2e-3)


def test_codes_of_one_unit_lie_on_a_line_and_equal_codes_on_a_point():
    assert plane_of(torch.arange(4.0)[:, None], ["a"] * 4).points[:, 1].tolist() == [0] * 4
    found = plane_of(torch.ones(4, 3), ["a"] * 4)
    assert found.share == 0
    assert not found.points.any()
