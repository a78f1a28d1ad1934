"""Evenly spaced samples."""

import torch

from zoo.spacing import evenly, spaced


def test_evenly_spaced_places():
    assert evenly(4, 8).tolist() == [0, 2, 4, 6]
    assert evenly(3, 8).tolist() == [0, 2, 5]
    assert evenly(9, 3).tolist() == [0, 1, 2]
    assert evenly(0, 3).tolist() == evenly(3, 0).tolist() == []


def test_spaced_rows_are_of_every_class():
    rows = torch.arange(9)[:, None] // 3
    assert spaced(rows, 3).tolist() == [[0], [1], [2]]
    assert spaced(rows, None) is spaced(rows, 9) is rows
