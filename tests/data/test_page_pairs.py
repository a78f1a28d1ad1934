import numpy as np
import pytest
import torch
from PIL import Image

from zoo.data.sources.page_pairs import divided_pairs, grey_pair, pages, paired
from zoo.errors import ZooError

SETTINGS = {"size": 16, "n_train": 30, "n_test": 10, "drawn": 0.0}


def write(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(pixels, np.uint8)).save(path)


@pytest.fixture
def folder(tmp_path):
    """Five clean pages of one grey level each, 40, 80, ..., with two dirty copies, half as bright."""
    rows = ["dirty,clean"]
    for i in range(1, 6):
        clean = np.full((30, 40), 40 * i)
        write(tmp_path / f"clean/{i}.png", clean)
        for copy in "ab":
            write(tmp_path / f"dirty/{i}{copy}.png", clean // 2)
            rows.append(f"{i}{copy}.png,{i}.png")
    (tmp_path / "pairs.csv").write_text("\n".join(rows) + "\n")
    return tmp_path


def test_the_split_is_by_clean_page_and_every_pair_is_on_one_side(folder):
    pairs = paired(folder)
    train, test = divided_pairs(pairs, 0.4, 0)
    assert not {pair.clean for pair in train} & {pair.clean for pair in test}
    assert len({pair.clean for pair in test}) == 2
    assert sorted(train + test) == sorted(pairs)
    assert divided_pairs(pairs, 0.4, 0) == (train, test)
    assert any(divided_pairs(pairs, 0.4, seed)[1] != test for seed in range(1, 5))


def test_patches_are_from_the_clean_pages_of_their_side(folder):
    _, tested = divided_pairs(paired(folder), 0.4, 0)
    levels = {40 * int(pair.clean.stem) for pair in tested}
    source = pages(str(folder), test_fraction=0.4, **SETTINGS)
    assert source.train.shape == (1, 16, 16)
    assert (len(source.train), len(source.test)) == (30, 10)
    assert set(source.test.pixels.unique().tolist()) == levels
    assert not set(source.train.pixels.unique().tolist()) & levels
    assert torch.equal(source.train.pixels, pages(str(folder), test_fraction=0.4, **SETTINGS).train.pixels)


def test_a_fraction_of_the_training_patches_is_drawn(folder):
    source = pages(str(folder), **(SETTINGS | {"drawn": 0.5}))
    flat = source.train[:].flatten(1)
    assert len(flat) == 30
    assert (flat[:15].std(1) == 0).all()
    assert (flat[15:].amax(1) > 0.9).all()


def test_without_a_table_files_of_the_same_name_belong_together(folder):
    (folder / "pairs.csv").unlink()
    for file in (folder / "dirty").iterdir():
        file.unlink() if file.stem.endswith("b") else file.rename(file.with_name(file.name.replace("a", "")))
    assert [pair.dirty.name for pair in paired(folder)] == [f"{i}.png" for i in range(1, 6)]
    (folder / "dirty/3.png").unlink()
    with pytest.raises(ZooError, match=r"dirty/3\.png: no such file, but its partner clean/3\.png"):
        paired(folder)


def test_a_folder_that_cannot_be_used_is_refused(folder):
    with pytest.raises(ZooError, match=r"add data\.source\.path=<folder>"):
        pages()
    with pytest.raises(ZooError, match="elsewhere: no such folder"):
        paired(folder / "elsewhere")
    (folder / "clean/2.png").unlink()
    with pytest.raises(ZooError, match=r"clean/2\.png: no such file"):
        paired(folder)
    (folder / "pairs.csv").write_text("one,two\n1,2\n")
    with pytest.raises(ZooError, match="no table with the columns dirty and clean"):
        paired(folder)
    (folder / "pairs.csv").write_text("dirty,clean\n1a.png,1.png\n1b.png,1.png\n")
    with pytest.raises(ZooError, match="1 clean pages: it takes at least 2"):
        divided_pairs(paired(folder), 0.2, 0)


def test_files_that_are_no_pair_of_pictures_are_refused(folder):
    first, second = paired(folder)[:2]
    write(first.dirty, np.zeros((30, 41)))
    with pytest.raises(ZooError, match="sizes differ, 41x30 and 40x30"):
        grey_pair(first)
    second.dirty.write_text("words")
    with pytest.raises(ZooError, match=r"1b\.png: no picture that Pillow can read"):
        grey_pair(second)
    Image.fromarray(np.zeros((30, 40), np.uint16)).save(second.dirty)
    with pytest.raises(ZooError, match="8 bits per channel"):
        grey_pair(second)


@pytest.mark.parametrize(
    "wrong",
    [
        {"size": 0},
        {"n_train": 0},
        {"n_test": 0},
        {"drawn": 1.5},
        {"least_scale": 0.0},
        {"test_fraction": 1.0},
        {"size": 31},
    ],
)
def test_settings_out_of_range_are_refused(folder, wrong):
    (name,) = wrong
    with pytest.raises(ZooError, match=rf"{name}={wrong[name]}"):
        pages(str(folder), **(SETTINGS | wrong))
