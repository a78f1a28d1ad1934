import os

import numpy as np
import pytest
import torch
from PIL import Image

from zoo.data.sources import array, folder, own
from zoo.errors import ZooError

DRAW = np.random.default_rng(0)


@pytest.fixture
def saved(tmp_path):
    def save(**named):
        path = tmp_path / "images.npz"
        np.savez(path, **named)
        return str(path)

    return save


@pytest.mark.parametrize(
    ("shape", "expected"), [((10, 6, 5), (1, 6, 5)), ((10, 6, 5, 3), (3, 6, 5)), ((10, 3, 6, 5), (3, 6, 5))]
)
@pytest.mark.parametrize("dtype", [np.uint8, np.float64])
def test_an_array_is_read_and_split_without_loss(tmp_path, shape, expected, dtype):
    images = DRAW.integers(0, 256, shape, dtype=np.uint8)
    path = tmp_path / "images.npy"
    np.save(path, images if dtype is np.uint8 else images / 255)
    source = array(str(path))
    assert source.train.shape == source.test.shape == expected
    assert (len(source.train), len(source.test)) == (8, 2)
    ours = torch.cat([source.train[:], source.test[:]]).mul(255).round().flatten(1).sum(1)
    assert sorted(ours.tolist()) == sorted(images.reshape(10, -1).astype(float).sum(1))


def test_named_test_images_and_labels_are_unchanged(saved):
    train, test = DRAW.integers(0, 256, (2, 5, 4, 4), dtype=np.uint8)
    source = array(saved(train=train, test=test, test_labels=np.array([0, 2, 1, 0, 1])))
    assert np.array_equal(source.train.pixels[:, 0].numpy(), train)
    assert np.array_equal(source.test.pixels[:, 0].numpy(), test)
    assert source.test.labels.tolist() == [0, 2, 1, 0, 1]
    assert source.train.labels.tolist() == [0] * 5


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ({"images": np.zeros((4, 3, 3))}, "no array named train"),
        ({"train": np.zeros((4, 3))}, r"shape \(4, 3\)"),
        ({"train": np.zeros((4, 3))}, "use data=table data.source.path="),
        ({"train": np.zeros(4)}, r"train: an array of shape \(4,\)"),
        ({"train": np.zeros((0, 3, 3))}, "holds no values"),
        ({"train": np.full((4, 3, 3), np.nan)}, "train: the samples hold values that are not finite"),
        ({"train": np.zeros((4, 3, 3)), "test": np.full((2, 3, 3), np.inf)}, "test: the samples hold values that are"),
        ({"train": np.full((4, 3, 3), "a")}, "train: values of type <U1: samples are numbers"),
        ({"train": np.full((4, 3, 3), 1, object)}, r"store numbers as numbers, X\.astype\(float\)"),
        ({"X": np.zeros((4, 3, 3)), "y": np.full(4, "a", object)}, r"labels as text, y\.astype\(str\)"),
        ({"train": np.zeros((4, 3, 3), np.uint8), "test": np.zeros((4, 3, 3))}, "train holds uint8 and test float64"),
        ({"X": np.zeros((4, 3, 3)), "y": [0.5, 1, 2, 3]}, "y holds real numbers; labels are classes"),
        ({"X": np.zeros((4, 3, 3)), "y": [1, np.nan, 2, 3]}, "y holds real numbers; labels are classes"),
        ({"X": np.zeros((4, 3, 3)), "y": np.eye(4)}, r"y must be 4 labels, one per sample, and has the shape \(4, 4\)"),
        ({"train": np.zeros((4, 3, 3)), "test": np.zeros((4, 2, 2))}, "make them equal"),
        ({"train": np.zeros((4, 3, 3)), "train_labels": np.zeros(3, int)}, "train_labels must be 4"),
        ({"train": np.zeros((1, 3, 3))}, r"data\.source\.test_fraction=0\.2: takes 0 of 1 samples"),
    ],
)
def test_an_array_that_is_not_images_is_refused(saved, named, message):
    with pytest.raises(ZooError, match=message):
        array(saved(**named))


@pytest.mark.parametrize("source", [array, folder])
def test_a_missing_path_is_refused(source):
    with pytest.raises(ZooError, match=r"add data\.source\.path="):
        source()


def test_missing_and_other_files_are_refused(tmp_path):
    (tmp_path / "text.npy").write_text("no array")
    (tmp_path / "empty.npy").touch()
    for name in ("missing.npy", "text.npy", "empty.npy"):
        with pytest.raises(ZooError, match=rf"{name}: no .npy or .npz file"):
            array(str(tmp_path / name))


@pytest.fixture
def pictures(tmp_path):
    """Two red and three blue pictures, each in a folder of its colour, of several sizes and modes."""
    for i, (name, colour) in enumerate([("red", "red")] * 2 + [("blue", "blue")] * 3):
        place = tmp_path / name
        place.mkdir(exist_ok=True)
        Image.new("RGB", (20 + i, 30 - i), colour).save(place / f"{i}.{'png' if i % 2 else 'JPG'}", "PNG")
    (tmp_path / "notes.txt").write_text("no picture")
    return tmp_path


def test_pictures_are_cropped_to_one_size_and_folders_are_classes(pictures):
    source = folder(str(pictures), size=8)
    assert source.classes == ("blue", "red")
    assert (len(source.train), len(source.test)) == (4, 1)
    for images in (source.train, source.test):
        assert images.shape == (3, 8, 8)
        for pixels, label in zip(images[:], images.labels, strict=True):
            assert pixels[0].mean() == (label == 1).float()
            assert pixels[2].mean() == (label == 0).float()
    assert folder(str(pictures), size=8, colour=False).train.shape == (1, 8, 8)


def test_pictures_outside_subfolders_mean_no_classes(pictures):
    Image.new("L", (9, 9)).save(pictures / "loose.png")
    with pytest.warns(UserWarning, match=r"1 pictures \(loose\.png, \.\.\.\) lie beside the subfolders"):
        source = folder(str(pictures), size=4)
    assert source.classes == ()
    assert len(source.train) + len(source.test) == 6


def test_unreadable_pictures_are_named(pictures):
    with pytest.raises(ZooError, match="0 pictures"):
        folder(str(pictures / "missing"))
    with pytest.raises(ZooError, match=r"data\.source\.size=0: must be 1 or more"):
        folder(str(pictures), size=0)
    (pictures / "broken.png").write_bytes(b"no picture")
    with pytest.raises(ZooError, match=r"broken\.png: no picture that Pillow can read"):
        folder(str(pictures))


def test_pictures_are_decoded_once_until_one_changes(tmp_path, monkeypatch):
    pictures, decoded = tmp_path / "pictures", tmp_path / "decoded"
    pictures.mkdir()
    for i in range(5):
        Image.fromarray(DRAW.integers(0, 256, (9, 9), dtype=np.uint8)).save(pictures / f"{i}.png")

    def read(**changes):
        own._folder.cache_clear()
        source = folder(str(pictures), size=8, colour=False, **changes)
        return torch.cat([source.train.pixels, source.test.pixels])

    plain, first = read(), read(decoded=str(decoded))
    assert torch.equal(first, plain)
    with monkeypatch.context() as patch:
        patch.setattr(Image, "open", lambda file: pytest.fail(f"{file} was decoded again"))
        assert torch.equal(read(decoded=str(decoded)), plain)
    Image.fromarray(np.zeros((9, 9), np.uint8)).save(pictures / "4.png")
    assert torch.equal(read(decoded=str(decoded)), read())
    assert not torch.equal(read(decoded=str(decoded)), plain)


def test_folders_with_files_of_equal_names_sizes_and_times_are_distinguished(tmp_path):
    """As archives unpack them."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for i in range(3):
            file = tmp_path / name / f"{i}.bmp"
            Image.fromarray(DRAW.integers(0, 256, (8, 8), dtype=np.uint8)).save(file)
            os.utime(file, (1, 1))
    one, other = (folder(str(tmp_path / n), size=8, decoded=str(tmp_path / "decoded")).train.pixels for n in ("a", "b"))
    assert not torch.equal(one, other)


def test_sources_are_read_once_until_a_file_changes(tmp_path):
    path = tmp_path / "images.npy"
    np.save(path, np.zeros((10, 4, 4), np.uint8))
    first = array(str(path))
    assert array(str(path)) is first
    np.save(path, np.full((20, 4, 4), 255, np.uint8))
    assert array(str(path)).train[:].min() == 1

    for i in range(5):
        Image.new("L", (4, 4), 0).save(tmp_path / f"{i}.png")
    first = folder(str(tmp_path), size=4)
    assert folder(str(tmp_path), size=4) is first
    Image.new("L", (4, 4), 255).save(tmp_path / "5.png")
    assert len(folder(str(tmp_path), size=4).train) == 5
    assert len(first.train) == 4
