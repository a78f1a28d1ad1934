import os

import numpy as np
import pytest
import torch
from PIL import Image

from zoo import samples
from zoo.data import arrays
from zoo.data import images as images_module
from zoo.data.sources import array, folder, own
from zoo.data.splits import Splits
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


@pytest.mark.parametrize("dtype", [bool, np.int8, np.uint16, ">u2", np.int64, np.float16, np.float32, np.float64])
@pytest.mark.parametrize("shape", [(20, 4, 3), (20, 4, 3, 2), (20, 2, 4, 3), (20, 4, 3, 4), (20, 7, 4, 3)])
@pytest.mark.filterwarnings("ignore:an array of shape .* is read as")
def test_images_of_any_type_range_and_channels_come_back_in_their_units(tmp_path, dtype, shape):
    images = DRAW.integers(0, 2 if dtype is bool else 100, shape).astype(dtype)
    np.save(tmp_path / "images.npy", images)
    splits = Splits(array(str(tmp_path / "images.npy"), "last" if shape[-1] == 2 else None))
    assert splits.form.shape == shape[1:]
    seen = torch.cat([splits.train[:], splits.validation[:], splits.test[:]])
    assert (splits.train[:].min(), splits.train[:].max()) == (0, 1)
    back = splits.form.outward(seen)
    key = [image.tobytes() for image in np.round(back).astype(np.int64)]
    assert sorted(key) == sorted(image.tobytes() for image in images.astype(np.int64))


def test_the_range_is_learned_on_training_images(saved):
    train, test = DRAW.normal(0, 1000, (20, 3, 3)), DRAW.normal(0, 5000, (5, 3, 3))
    splits = Splits(array(saved(train=train, test=test)))
    assert (splits.train[:].min(), splits.train[:].max()) == (0, 1)
    assert splits.test[:].max() > 1
    np.testing.assert_allclose(splits.form.outward(splits.test[:])[:, :, :], test, atol=1e-2)


def test_equal_values_are_no_trouble(saved):
    splits = Splits(array(saved(X=np.full((10, 3, 3), 7))))
    assert (splits.train[:] == 0).all()


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (np.arange(100) % 3 + 4, ("4", "5", "6")),
        (np.array(["a", "b", "c"])[np.arange(100) % 3], ("a", "b", "c")),
        (np.arange(100.0)[:, None] % 3, ("0", "1", "2")),
        (np.array([b"a", b"b", b"c"])[np.arange(100) % 3], ("a", "b", "c")),
    ],
)
def test_labels_follow_their_images_and_keep_their_shares(saved, labels, classes):
    """The images are numbered, so each shows its label."""
    images = np.arange(100, dtype=np.uint8)[:, None, None].repeat(4, 1).repeat(4, 2)
    source = array(saved(X=images, y=labels))
    assert source.classes == classes
    for part, n in ((source.train, 80), (source.test, 20)):
        assert len(part) == n
        assert torch.equal(part.labels, part.pixels[:, 0, 0, 0].long() % 3)
        assert (part.labels.bincount() - n / 3).abs().max() < 1.5


def test_a_class_of_one_image_stays_for_training(saved):
    images = DRAW.integers(0, 256, (20, 3, 3), dtype=np.uint8)
    for seed in range(5):
        source = array(saved(X=images, y=["rare", *["often"] * 19]), split_seed=seed)
        assert source.classes == ("often", "rare")
        assert (len(source.test), source.train.labels.sum(), source.test.labels.sum()) == (4, 1, 0)
    source = array(saved(X=images, y=np.arange(20)))
    assert (len(source.train), len(source.test)) == (16, 4), "all classes have one image: at random"


@pytest.mark.filterwarnings("ignore:no value is above")
def test_the_split_is_determined_by_its_seed_and_without_labels_that_of_earlier_versions(saved):
    images = np.arange(10, dtype=np.uint8)[:, None, None] + np.zeros((1, 2, 2), np.uint8)
    order = torch.randperm(10, generator=torch.Generator().manual_seed(0))
    path = saved(X=images)
    assert array(path).test.pixels[:, 0, 0, 0].tolist() == sorted(order[:2].tolist())
    path = saved(X=images, y=np.arange(10) % 2)
    splits = []
    for seed in (0, 0, 1, 2, 3):
        own._array.cache_clear()
        splits.append(tuple(array(path, split_seed=seed).test.pixels[:, 0, 0, 0].tolist()))
    assert splits[0] == splits[1]
    assert len(set(splits)) > 1


@pytest.mark.parametrize(
    "names", [("X_train", "y_train", "X_test", "y_test"), ("x_train", "y_train", "x_test", "y_test")]
)
def test_usual_names_of_arrays(saved, names):
    x, y = DRAW.integers(0, 256, (2, 4, 3, 3), dtype=np.uint8), np.array([["a", "b", "a", "b"], ["c", "b", "a", "a"]])
    source = array(saved(**dict(zip(names, (x[0], y[0], x[1], y[1]), strict=True))))
    assert source.classes == ("a", "b", "c")
    assert (source.train.labels.tolist(), source.test.labels.tolist()) == ([0, 1, 0, 1], [2, 1, 0, 0])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_a_large_array_is_mapped_and_never_copied(tmp_path, monkeypatch, dtype):
    for module in (arrays, images_module, own):
        monkeypatch.setattr(module, "COPIED", 1000, raising=False)
    monkeypatch.setattr(samples, "LARGE", 1000)
    path = tmp_path / "images.npy"
    images = DRAW.integers(0, 256, (50, 6, 5, 3)).astype(dtype)
    np.save(path, images)
    splits = Splits(array(str(path)))
    parts = [splits.train, splits.validation, splits.test]
    assert len({part.pixels.data_ptr() for part in parts}) == 1
    assert all(part.pixels.element_size() == images.itemsize for part in parts)
    rows = np.concatenate([splits.form.outward(part[:]) for part in parts])
    key = [row.tobytes() for row in np.round(rows).astype(np.int64)]
    assert sorted(key) == sorted(image.tobytes() for image in images.astype(np.int64))
    batch = splits.train[torch.tensor([3, 0])]
    assert torch.equal(batch, splits.train[:][[3, 0]])


def test_an_array_that_must_not_be_written_is_shared(tmp_path):
    np.save(tmp_path / "x.npy", np.ones((5, 3)))
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    assert samples.as_tensor(mapped).data_ptr() == mapped.ctypes.data


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


def test_a_picture_beside_the_subfolders_is_left_out_with_a_warning(pictures):
    whole = folder(str(pictures), size=4)
    Image.new("L", (9, 9)).save(pictures / "loose.png")
    with pytest.warns(
        UserWarning, match=r"1 of 6 pictures lie beside the subfolders \(such as loose\.png\), so they are"
    ):
        source = folder(str(pictures), size=4)
    assert source.classes == whole.classes != ()
    assert len(source.train) + len(source.test) == 5


def test_many_pictures_beside_the_subfolders_mean_no_classes(pictures):
    for number in range(5):
        Image.new("L", (9, 9)).save(pictures / f"loose{number}.png")
    with pytest.warns(UserWarning, match=r"5 of 10 pictures .* so the names of the subfolders are not used as classes"):
        source = folder(str(pictures), size=4)
    assert source.classes == ()
    assert len(source.train) + len(source.test) == 10


def test_unreadable_pictures_are_named(pictures):
    with pytest.raises(ZooError, match="missing: no such folder"):
        folder(str(pictures / "missing"))
    with pytest.raises(ZooError, match=r"data\.source\.size=0: must be 1 or more"):
        folder(str(pictures), size=0)
    (next(place for place in pictures.iterdir() if place.is_dir()) / "broken.png").write_bytes(b"no picture")
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


RAMP = np.linspace(0, 1, 64).reshape(8, 8)


def saved_as(path, mode: str):
    """A ramp from black to white as a picture of a mode, and the bytes that it should be read as."""
    grey = np.round(RAMP * 255).astype(np.uint8)
    match mode:
        case "16 bits":
            Image.fromarray(np.round(RAMP * 65535).astype(np.uint16)).save(path)
        case "floats":
            Image.fromarray(RAMP.astype(np.float32)).save(path)
        case "palette":
            Image.fromarray(grey).convert("P").save(path)
        case "transparent palette":
            Image.fromarray(grey).convert("P").save(path, transparency=0)
            grey = np.where(grey == 0, 255, grey)
        case "alpha":
            Image.fromarray(np.stack([0 * grey, 0 * grey, 0 * grey, 255 - grey], -1)).save(path)
        case "grey and alpha":
            Image.fromarray(np.stack([0 * grey, 255 - grey], -1)).save(path)
        case "inks":
            Image.fromarray(np.stack([255 - grey] * 3 + [0 * grey], -1), "CMYK").save(path)
        case "bits":
            grey = np.where(RAMP > 0.5, 255, 0).astype(np.uint8)
            Image.fromarray(RAMP > 0.5).save(path)
        case _:
            Image.fromarray(grey).convert(mode).save(path)
    return grey


@pytest.mark.parametrize("colour", [False, True])
@pytest.mark.parametrize(
    ("mode", "suffix"),
    [
        ("L", "png"),
        ("RGB", "bmp"),
        ("16 bits", "png"),
        ("16 bits", "tif"),
        ("floats", "tiff"),
        ("palette", "png"),
        ("transparent palette", "png"),
        ("alpha", "png"),
        ("alpha", "tif"),
        ("grey and alpha", "png"),
        ("inks", "tif"),
        ("bits", "png"),
    ],
)
def test_pictures_of_every_mode_are_read_right(tmp_path, mode, suffix, colour):
    expected = saved_as(tmp_path / f"0.{suffix}", mode)
    saved_as(tmp_path / f"1.{suffix}", mode)
    source = folder(str(tmp_path), 8, colour, 0.5)
    for pixels in (source.train.pixels[0], source.test.pixels[0]):
        for channel in pixels:
            assert np.abs(channel.numpy().astype(int) - expected).max() <= 1


@pytest.mark.parametrize(
    ("values", "told"),
    [
        (RAMP.astype(np.float32) * 9, r"values from 0 to 9, and white is 1; scale them to \[0, 1\]"),
        (RAMP.astype(np.float32) - 1, "values from -1 to 0, and white is 1"),
        (np.full((8, 8), np.nan, np.float32), "values from nan to nan"),
        ((RAMP * 1e9).astype(np.int32), "whole numbers of 32 bits, whose white is unknown"),
    ],
)
def test_pictures_whose_white_is_unknown_are_refused_by_name(tmp_path, values, told):
    for i in range(2):
        Image.fromarray(values).save(tmp_path / f"{i}.tif")
    with pytest.raises(ZooError, match=rf"0\.tif: {told}"):
        folder(str(tmp_path))


def test_lab_colours_become_red_green_and_blue(tmp_path):
    for i in range(2):
        Image.new("LAB", (8, 8), (136, 208, 195)).save(tmp_path / f"{i}.tif")
    red, green, blue = folder(str(tmp_path), 8, test_fraction=0.5).train.pixels[0, :, 0, 0].tolist()
    assert red > 240
    assert max(green, blue) < 20
    assert 60 < folder(str(tmp_path), 8, False, 0.5).train.pixels[0, 0, 0, 0] < 90


def test_hidden_and_system_files_are_skipped(pictures):
    for place in (".ipynb_checkpoints", "__MACOSX/red", ".thumbs", "red/.thumbs"):
        (pictures / place).mkdir(parents=True)
        (pictures / place / "x.png").write_bytes(b"no picture")
    (pictures / "red" / "._0.png").write_bytes(b"no picture")
    (pictures / "red" / "folder.png").mkdir()
    source = folder(str(pictures), size=8)
    assert source.classes == ("blue", "red")
    assert len(source.train) + len(source.test) == 5


def test_pictures_may_be_higher_than_wide(pictures):
    source = folder(str(pictures), size=[12, 5])
    assert source.train.shape == (3, 12, 5)
    assert source.form.shape == (12, 5, 3)
    assert folder(str(pictures), size=[12, 5], colour=False).form.shape == (12, 5)
    for size in ([3], [0, 3], [3, 3, 3]):
        with pytest.raises(ZooError, match=r"data\.source\.size=\[.*\]: must be 1 or more, or \[height, width\]"):
            folder(str(pictures), size=size)


def test_broken_files_are_named(pictures, monkeypatch):
    with pytest.raises(ZooError, match=r"notes\.txt: a file; data=folder reads a folder"):
        folder(str(pictures / "notes.txt"))
    link = pictures / "red" / "link.png"
    link.symlink_to(pictures / "nothing.png")
    with pytest.raises(ZooError, match=r"link\.png: a link to a file that does not exist"):
        folder(str(pictures))
    link.unlink()
    (pictures / "blue" / "empty.png").touch()
    with pytest.raises(ZooError, match=r"empty\.png: no picture that Pillow can read"):
        folder(str(pictures))
    (pictures / "blue" / "empty.png").unlink()
    for limit in (500, 200):  # Pillow warns above the limit, and raises above its double
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        own._folder.cache_clear()
        with pytest.raises(ZooError, match=f"more than the {limit} pixels that a picture may have; shrink or remove"):
            folder(str(pictures))
