import numpy as np
import pytest
import torch
from PIL import Image

from zoo.data.dirt import Dirt, field_of
from zoo.data.sources.page_pairs import Pair, divided_pairs, paired
from zoo.errors import ZooError
from zoo.model.corruptions import NoCorruption, Paper

ALWAYS = {"drawn": NoCorruption(), "real": 1.0, "clean": 0.0}


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def folder(tmp_path):
    """Four pages: a black bar on white; dirt of one grey level per page, with ink of level 20."""
    clean = np.full((60, 80), 255, np.uint8)
    clean[20:30, 10:70] = 0
    for inner in ("clean", "dirty"):
        (tmp_path / inner).mkdir()
    for i, level in enumerate((100, 130, 160, 190)):
        Image.fromarray(clean).save(tmp_path / f"clean/{i}.png")
        Image.fromarray(np.where(clean == 0, 20, level).astype(np.uint8)).save(tmp_path / f"dirty/{i}.png")
    return tmp_path


def test_a_field_is_the_dirt_without_the_ink(folder):
    for pair, level in zip(paired(folder), (100, 130, 160, 190), strict=True):
        assert torch.allclose(field_of(pair), torch.full((1, 60, 80), level / 255))


def test_only_dirt_of_training_pages_is_used(folder):
    dirt = Dirt(path=str(folder), test_fraction=0.5, **ALWAYS)
    train, _ = divided_pairs(paired(folder), 0.5, 0)
    assert [field.mean().item() for field in dirt.fields] == pytest.approx([field_of(p).mean().item() for p in train])


def test_contract(folder):
    x = torch.rand(40, 1, 16, 20, generator=generator())
    before = x.clone()
    dirt = Dirt(Paper(), str(folder), clean=0.3)
    seen, hidden = dirt(x, generator())
    assert torch.equal(x, before)
    assert torch.equal(seen, dirt(x, generator())[0])
    assert not torch.equal(seen, dirt(x, generator(1))[0])
    assert (seen.min() >= 0) & (seen.max() <= 1)
    assert hidden.shape == (40, 1, 16, 20)
    assert torch.equal(seen[hidden == 0], x[hidden == 0])
    assert 0.5 < hidden.mean() < 0.9


def test_dirt_darkens_paper_and_ink_stays_darker(folder):
    x = torch.ones(200, 1, 16, 16)
    x[..., :8] = 0
    seen, _ = Dirt(path=str(folder), noise=0.0, blur=0.0, **ALWAYS)(x, generator())
    ink, paper = seen[..., :8].mean((1, 2, 3)), seen[..., 8:].mean((1, 2, 3))
    assert (paper < 1).all()
    assert paper.std() > 0.05
    assert (ink <= 0.3).all()


def test_without_a_folder_dirt_is_drawn_and_without_both_nothing_changes():
    x = torch.rand(5, 1, 16, 16, generator=generator())
    assert Dirt(NoCorruption()).fields == ()
    assert torch.equal(Dirt(NoCorruption())(x, generator())[0], x)
    assert not torch.equal(Dirt(Paper())(x, generator())[0], x)


def test_a_page_without_paper_is_refused(folder):
    Image.fromarray(np.zeros((60, 80), np.uint8)).save(folder / "clean/0.png")
    with pytest.raises(ZooError, match=r"0\.png: no paper"):
        field_of(Pair(folder / "dirty/0.png", folder / "clean/0.png"))
    with pytest.raises(ZooError, match="nowhere: no such folder"):
        Dirt(path="nowhere", **ALWAYS)(torch.rand(1, 1, 8, 8))


@pytest.mark.parametrize(
    "wrong",
    [
        {"real": 1.1},
        {"clean": -0.1},
        {"ink": 2.0},
        {"noise": -1.0},
        {"noise": float("inf")},
        {"real": True},
        {"blur": 1.5},
    ],
)
def test_values_out_of_range_are_refused(wrong):
    (name,) = wrong
    with pytest.raises(ZooError, match=f"corruption.{name}={wrong[name]}"):
        Dirt(NoCorruption(), **wrong)
