import gzip
import hashlib
import io
import math
import os
import pickle
import socket
import struct
import subprocess
import sys
import tarfile
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import ClassVar

import numpy as np
import pytest
import torch
from scipy.io import savemat
from sklearn.datasets import _olivetti_faces, load_digits, load_sample_images
from torchvision import datasets

from zoo.data.images import Source
from zoo.data.sources import binary_mnist, cifar10, digits, download, faces, fashion_mnist, mnist, patches, scans
from zoo.data.sources.smaller import faces_small
from zoo.errors import ZooError


@pytest.fixture(autouse=True)
def elsewhere(tmp_path_factory, monkeypatch):
    """Data sets that lie in the checkout are not found."""
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))


REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def offline(monkeypatch):
    def no_address(*args: object, **kwargs: object) -> None:
        raise socket.gaierror("Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", no_address)


def md5(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()


def holding(published: str) -> Path:
    """The checkout's data folder, if it holds the files; skips the test otherwise, because tests download nothing."""
    root = REPOSITORY / "data"
    if not (root / published).exists():
        pytest.skip(f"{published} is not in {root}; tests do not download published sets")
    return root


# Digits


def test_digits_are_scikit_learns_each_once_under_its_own_label():
    source = digits()
    published = load_digits()
    ours = torch.cat([source.train.pixels, source.test.pixels]).flatten(1).numpy()
    labels = torch.cat([source.train.labels, source.test.labels]).numpy()
    rows = sorted(map(tuple, np.column_stack([ours, labels])))
    assert rows == sorted(map(tuple, np.column_stack([published.data, published.target]).astype(int)))
    assert source.train.shape == (1, 8, 8)
    assert source.train.pixels.dtype is torch.uint8
    assert source.train[:].max() == source.test[:].max() == 1


def test_digits_are_split_by_the_fraction_with_every_digit_in_proportion():
    source = digits(test_fraction=0.2)
    assert (len(source.train), len(source.test)) == (1437, 360)
    shares = [part.labels.bincount() / len(part) for part in (source.train, source.test)]
    assert (shares[0] - shares[1]).abs().max() < 1 / 360


def test_the_split_of_digits_is_determined_by_its_seed():
    first, other = digits(split_seed=0), digits(split_seed=1)
    digits.cache_clear()
    assert torch.equal(digits(split_seed=0).test.pixels, first.test.pixels)
    assert not torch.equal(other.test.pixels, first.test.pixels)


@pytest.mark.parametrize("fraction", [0.0, 1.0, 0.001, 0.999])
def test_an_invalid_fraction_of_digits_is_refused(fraction):
    with pytest.raises(ZooError, match=rf"data\.source\.test_fraction={fraction}: "):
        digits(test_fraction=fraction)


# Published files: the real readers and downloaders, on small sets from a local server


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


@dataclass(frozen=True)
class Publisher:
    folder: Path
    url: str


@pytest.fixture
def publisher(tmp_path, monkeypatch):
    folder = tmp_path / "publisher"
    folder.mkdir()
    monkeypatch.setenv("no_proxy", "*")
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield Publisher(folder, f"http://127.0.0.1:{server.server_port}/")
        server.shutdown()
        thread.join()


@pytest.fixture
def idx(publisher, monkeypatch):
    """Files of 5 + 3 random images in place of MNIST's, for torchvision and for the checks."""
    draw = np.random.default_rng(0)
    files = {}
    for part, n in (("train", 5), ("t10k", 3)):
        pixels = draw.integers(0, 256, (n, 28, 28), dtype=np.uint8)
        header = np.array([0x803, n, 28, 28], dtype=">i4").tobytes()
        files[f"{part}-images-idx3-ubyte"] = header + pixels.tobytes()
        labels = draw.integers(0, 10, n, dtype=np.uint8)
        files[f"{part}-labels-idx1-ubyte"] = np.array([0x801, n], dtype=">i4").tobytes() + labels.tobytes()
    archives = {f"{file}.gz": gzip.compress(content) for file, content in files.items()}
    for file, content in archives.items():
        (publisher.folder / file).write_bytes(content)
    monkeypatch.setattr(datasets.MNIST, "mirrors", [publisher.url])
    monkeypatch.setattr(datasets.MNIST, "resources", [(file, md5(content)) for file, content in archives.items()])
    for module in (download, scans):
        monkeypatch.setattr(module, "MNIST_MD5", {file: md5(content) for file, content in files.items()})
    return files


def test_a_missing_set_is_downloaded_without_temporary_files_and_equals_torchvisions(tmp_path, idx, capsys):
    root = tmp_path / "data"
    source = mnist(str(root))
    for train, part in ((True, source.train), (False, source.test)):
        expected = datasets.MNIST(root, train=train)
        assert torch.equal(part.pixels[:, 0], expected.data)
        assert torch.equal(part.labels, expected.targets)
    assert {path.name for path in root.rglob("*")} == {"MNIST", "raw", *idx}
    assert capsys.readouterr().out == ""


def test_an_existing_set_is_read_once_per_process_and_without_a_network(tmp_path, idx, offline):
    root = tmp_path / "data"
    (root / "MNIST" / "raw").mkdir(parents=True)
    for file, content in idx.items():
        (root / "MNIST" / "raw" / file).write_bytes(content)
    source = mnist(str(root))
    assert mnist(str(root)) is source


def test_grey_levels_are_the_probabilities_of_binary_mnist(tmp_path, idx):
    root = str(tmp_path / "data")
    grey, binary = mnist(root).train[:], binary_mnist(root).train[:]
    assert torch.equal(binary.unique(), torch.tensor([0.0, 1.0]))
    assert not binary[grey == 0].any()
    assert binary[grey == 1].all()
    error = (binary - grey).sum() / (grey * (1 - grey)).sum().sqrt()
    assert error.abs() < 4
    binary_mnist.cache_clear()
    assert torch.equal(binary_mnist(root).train[:], binary)
    assert not torch.equal(binary_mnist(root, seed=1).train[:], binary)


def test_only_missing_files_are_replaced(tmp_path, idx):
    raw = tmp_path / "data" / "MNIST" / "raw"
    raw.mkdir(parents=True)
    kept = raw / "train-images-idx3-ubyte"
    kept.write_bytes(idx[kept.name])
    before = kept.stat().st_ino
    assert len(mnist(str(tmp_path / "data")).test) == 3
    assert kept.stat().st_ino == before


def test_an_interrupted_download_leaves_no_files(tmp_path, idx, publisher):
    archive = publisher.folder / "t10k-images-idx3-ubyte.gz"
    archive.write_bytes(archive.read_bytes()[:-20])
    with pytest.raises(ZooError, match="the download failed"):
        mnist(str(tmp_path / "data"))
    assert list((tmp_path / "data").iterdir()) == []


DOWNLOADING = """
import sys
from pathlib import Path
from urllib.request import urlretrieve
from zoo.data.sources.download import download
url, root = sys.argv[1:]
download(Path(root), [Path("SET/file")], "a page", lambda folder: urlretrieve(url, f"{folder}/file"))
"""


class Stalling(SimpleHTTPRequestHandler):
    """Sends the first half of everything."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "200000")
        self.end_headers()
        self.wfile.write(bytes(100_000))
        self.wfile.flush()
        self.rfile.read()  # until the client has gone

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def stalling(monkeypatch):
    """The address of a server whose downloads never end."""
    monkeypatch.setenv("no_proxy", "*")
    with ThreadingHTTPServer(("127.0.0.1", 0), Stalling) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/file"
        server.shutdown()
        thread.join()


def test_what_a_killed_download_left_is_removed_by_the_next(tmp_path, stalling):
    def fetch(folder: str) -> None:
        (Path(folder) / "SET").mkdir()
        (Path(folder) / "SET" / "file").write_bytes(b"whole")

    command = [sys.executable, "-c", DOWNLOADING, stalling, str(tmp_path)]
    with subprocess.Popen(command, env=os.environ | {"PYTHONPATH": str(REPOSITORY)}) as process:
        while not any(path.stat().st_size for path in tmp_path.glob(".download.*.part/file")):
            assert process.poll() is None
            time.sleep(0.01)
        process.kill()
    assert len(list(tmp_path.iterdir())) == 2, "its lock, and what it has downloaded"
    download.download(tmp_path, [Path("SET/file")], "a page", fetch)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [tmp_path / "SET" / "file"]
    assert [path.name for path in tmp_path.iterdir()] == ["SET"]


def test_two_downloads_at_once_are_one(tmp_path):
    asked = []

    def fetch(folder: str) -> None:
        asked.append(folder)
        time.sleep(0.2)
        (Path(folder) / "file").write_bytes(b"whole")

    threads = [Thread(target=download.download, args=(tmp_path, [Path("file")], "a page", fetch)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(asked) == 1
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]


@pytest.mark.parametrize(
    ("source", "folder", "file", "page"),
    [
        (mnist, "MNIST/raw", "t10k-labels-idx1-ubyte", "https://ossci-datasets"),
        (fashion_mnist, "FashionMNIST/raw", "train-images-idx3-ubyte", "https://github.com/zalandoresearch"),
        (cifar10, "cifar-10-batches-py", "data_batch_1", "https://www.cs.toronto.edu"),
        (faces, "", "olivettifaces.mat", "https://scikit-learn.org"),
    ],
)
def test_a_missing_set_without_a_network_gives_a_message_of_one_line(
    tmp_path: Path, offline: None, source: Callable[[str], Source], folder: str, file: str, page: str
):
    with pytest.raises(ZooError) as caught:
        source(str(tmp_path))
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / folder} lacks ")
    assert "\n" not in message
    for part in (file, page, "Name or service not known", "run again with a network connection"):
        assert part in message
    assert list(tmp_path.iterdir()) == []


def test_a_truncated_file_is_named_with_advice(tmp_path, idx):
    mnist(str(tmp_path / "data"))
    mnist.cache_clear()
    raw = tmp_path / "data" / "MNIST" / "raw"
    file = raw / "t10k-images-idx3-ubyte"
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(ZooError) as caught:
        mnist(str(tmp_path / "data"))
    message = str(caught.value)
    assert message.startswith(f"{file}: its 2,367 bytes have the checksum {md5(file.read_bytes())}, not the published ")
    assert message.endswith(f"delete the folder {raw} and run again to download it")


def test_mnist_in_place_of_fashion_mnist_is_detected(tmp_path, idx):
    raw = tmp_path / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    for file, content in idx.items():
        (raw / file).write_bytes(content)
    with pytest.raises(ZooError, match=f"{raw / 'train-images-idx3-ubyte'}: .*, that of MNIST, not the published"):
        fashion_mnist(str(tmp_path))


@pytest.mark.parametrize(("source", "name"), [(mnist, "MNIST"), (fashion_mnist, "FashionMNIST")])
def test_the_published_sets_equal_torchvisions(source, name):
    root = holding(f"{name}/raw")
    read = source(str(root))
    for train, part, n in ((True, read.train, 60_000), (False, read.test, 10_000)):
        expected = getattr(datasets, name)(root, train=train)
        assert len(part) == n
        assert torch.equal(part.pixels[:, 0], expected.data)
        assert torch.equal(part.labels, expected.targets)
    assert tuple(kind.split(" - ")[0] for kind in expected.classes) == read.classes


class Python2Pickler(pickle._Pickler):
    """Writes text and bytes as strings, as Python 2 did when the published files were pickled."""

    def save_string(self, text: str | bytes) -> None:
        content = text.encode() if isinstance(text, str) else text
        self.write(pickle.BINSTRING + struct.pack("<i", len(content)) + content)

    dispatch: ClassVar = {**pickle._Pickler.dispatch, str: save_string, bytes: save_string}


def python2_pickle(batch: object) -> bytes:
    out = io.BytesIO()
    Python2Pickler(out, protocol=2).dump(batch)
    return out.getvalue()


def test_cifar10_is_in_colour_and_equals_torchvisions(tmp_path, publisher, monkeypatch):
    draw = np.random.default_rng(0)
    folder = publisher.folder / "cifar-10-batches-py"
    folder.mkdir()
    lists = {"train_list": [f"data_batch_{i}" for i in range(1, 6)], "test_list": ["test_batch"]}
    for name, files in lists.items():
        for file in files:
            rows = draw.integers(0, 256, (4, 3072), dtype=np.uint8)
            batch = {"data": rows, "labels": draw.integers(0, 10, 4).tolist()}
            (folder / file).write_bytes(python2_pickle(batch))
        published = [[file, md5((folder / file).read_bytes())] for file in files]
        monkeypatch.setattr(datasets.CIFAR10, name, published)
    meta = pickle.dumps({"label_names": ["airplane"]})
    (folder / "batches.meta").write_bytes(meta)
    monkeypatch.setattr(datasets.CIFAR10, "meta", {**datasets.CIFAR10.meta, "md5": md5(meta)})
    archive = publisher.folder / datasets.CIFAR10.filename
    with tarfile.open(archive, "w:gz") as out:
        out.add(folder, folder.name)
    monkeypatch.setattr(datasets.CIFAR10, "url", publisher.url + archive.name)
    monkeypatch.setattr(datasets.CIFAR10, "tgz_md5", md5(archive.read_bytes()))

    source = cifar10(str(tmp_path / "data"))
    assert source.train.shape == source.test.shape == (3, 32, 32)
    assert (len(source.train), len(source.test), len(source.classes)) == (20, 4, 10)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", np.exceptions.VisibleDeprecationWarning)  # see cifar10
        expected = datasets.CIFAR10(folder.parent, train=True)
    assert np.array_equal(source.train.pixels.permute(0, 2, 3, 1).numpy(), expected.data)
    assert source.train.labels.tolist() == expected.targets
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["cifar-10-batches-py"]


# Faces


def drawn_faces() -> np.ndarray:
    columns = np.random.default_rng(0).integers(0, 243, (4096, 400), dtype=np.uint8)
    columns[0, :2] = 0, 242
    return columns


def test_faces_equal_scikit_learns_and_are_split_by_person(tmp_path, monkeypatch):
    published, root = tmp_path / "published.mat", tmp_path / "data"
    savemat(published, {"faces": drawn_faces()})
    metadata = _olivetti_faces.FACES._replace(
        url=published.as_uri(), checksum=hashlib.sha256(published.read_bytes()).hexdigest()
    )
    monkeypatch.setattr(_olivetti_faces, "FACES", metadata)
    expected = _olivetti_faces.fetch_olivetti_faces(data_home=tmp_path / "scikit-learn").images
    downloaded = faces(str(root))
    faces.cache_clear()
    for source in (downloaded, faces(str(root))):
        assert np.array_equal(source.train[:][:, 0].numpy(), expected[:300])
        assert np.array_equal(source.test[:][:, 0].numpy(), expected[300:])
        assert source.classes == ()
    assert [path.name for path in root.iterdir()] == ["olivettifaces.mat"]


def test_the_published_faces_are_upright():
    root = holding("olivettifaces.mat")
    mean = faces(str(root)).train[:].mean(0)[0]
    # left and right of a face are similar, top and bottom are not
    assert (mean - mean.flip(1)).abs().mean() < (mean - mean.flip(0)).abs().mean() / 2


@pytest.mark.parametrize("content", [b"", b"no matrix", {"other": drawn_faces()}, {"faces": drawn_faces()[1:]}])
def test_a_wrong_file_of_faces_is_named_with_advice(tmp_path, content):
    path = tmp_path / "olivettifaces.mat"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        savemat(path, content)
    with pytest.raises(ZooError, match=f"{path}: not the Olivetti faces.*delete it and run again"):
        faces(str(tmp_path))


# Patches


def occurs(patch: torch.Tensor, photograph: np.ndarray) -> bool:
    """Whether patch: (C, S, S) occurs in photograph: (H, W, C)."""
    size = patch.shape[-1]
    windows = np.lib.stride_tricks.sliding_window_view(photograph, (size, size), axis=(0, 1))
    return bool((windows == patch.numpy()).all(axis=(2, 3, 4)).any())


def test_patches_are_from_their_side_of_the_photograph_of_their_label():
    source = patches(size=6, n_train=50, n_test=50, colour=True)
    photographs = load_sample_images().images
    assert source.train.shape == (3, 6, 6)
    assert set(source.train.labels.tolist()) == set(source.test.labels.tolist()) == {0, 1}
    for part, side in ((source.train, slice(None, 480)), (source.test, slice(480, None))):
        for patch, label in zip(part.pixels[:5], part.labels[:5], strict=True):
            assert occurs(patch, photographs[label][:, side])


def test_grey_patches_are_the_luma_of_the_coloured_ones():
    grey, colour = (patches(size=6, n_train=50, n_test=5, colour=colour) for colour in (False, True))
    weights = torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)
    luma = (colour.train.pixels * weights).sum(1, keepdim=True)
    assert (grey.train.pixels - luma).abs().max() <= 0.5 + 1e-4
    assert (grey.name, colour.name) == ("patches", "patches_colour")


def test_patches_are_determined_by_their_seed():
    first, other = (patches(n_train=20, n_test=5, seed=seed) for seed in (0, 1))
    patches.cache_clear()
    assert torch.equal(patches(n_train=20, n_test=5, seed=0).train.pixels, first.train.pixels)
    assert not torch.equal(other.train.pixels, first.train.pixels)


@pytest.mark.parametrize("colour", [False, True])
def test_whitened_patches_have_the_covariance_of_zca(colour):
    plain, white = (patches(size=5, n_train=4000, n_test=50, colour=colour, whiten=w) for w in (False, True))
    covariance = np.cov(plain.train[:].flatten(1).double().numpy().T, bias=True)
    eigenvalues, vectors = np.linalg.eigh(covariance)
    expected = vectors * (eigenvalues / (eigenvalues + 0.01 * eigenvalues.mean())) @ vectors.T
    w = 10 * (white.train[:].flatten(1).double().numpy() - 0.5)
    kept = (np.abs(w) < 5 - 1e-5).all(axis=1)
    unclipped = 10 * (np.cov(w.T, bias=True) - expected) / 10
    assert kept.mean() > 0.9
    assert np.abs(unclipped).max() < 0.05
    # the transform is symmetric, so that each pixel correlates most with itself
    together = np.corrcoef(plain.train[:].flatten(1).numpy().T, w.T)[: len(expected), len(expected) :]
    assert (together.argmax(axis=1) == np.arange(len(expected))).mean() > 0.9
    for part in (white.train, white.test):
        assert part[:].min() >= 0
        assert part[:].max() <= 1


def test_whitening_of_test_patches_is_fitted_on_training_patches():
    few, many = (patches(size=5, n_train=500, n_test=n, whiten=True) for n in (10, 20))
    assert torch.equal(few.train.pixels, many.train.pixels)
    assert abs(few.test[:].mean() - 0.5) > 1e-4


@pytest.mark.parametrize(
    "wrong",
    [
        {"size": 1},
        {"size": 161},
        {"n_train": 1},
        {"n_test": 0},
        {"epsilon": 0.0},
        {"epsilon": -1.0},
        {"epsilon": math.inf},
    ],
)
def test_invalid_settings_of_patches_are_refused(wrong):
    name, value = next(iter(wrong.items()))
    with pytest.raises(ZooError, match=f"{name}={value}"):
        patches(**wrong)


def test_files_in_the_current_folders_data_are_used_there(tmp_path, monkeypatch):
    def fetch(folder):
        raise AssertionError("nothing is missing")

    monkeypatch.chdir(tmp_path)
    (tmp_path / "data" / "SET").mkdir(parents=True)
    (tmp_path / "data" / "SET" / "file").write_bytes(b"content")
    assert download.download(tmp_path / "home", [Path("SET/file")], "a page", fetch) == Path("data")
    (tmp_path / "home" / "SET").mkdir(parents=True)
    (tmp_path / "home" / "SET" / "file").write_bytes(b"content")
    assert download.download(tmp_path / "home", [Path("SET/file")], "a page", fetch) == tmp_path / "home"


def test_small_faces_are_means_of_four_pixels(tmp_path):
    published = tmp_path / "olivettifaces.mat"
    savemat(published, {"faces": drawn_faces()})
    whole, small = faces(str(tmp_path)).test, faces_small(str(tmp_path)).test
    assert small.shape == (1, 32, 32)
    assert torch.allclose(small[:3], whole[:3].view(3, 1, 32, 2, 32, 2).mean((3, 5)), atol=1e-6)
