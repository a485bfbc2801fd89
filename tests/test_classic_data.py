"""Data sets of the classic autoencoders, and the classifier that judges them."""

import gzip
import sys
import types
import urllib.error
import urllib.request

import numpy as np
import pytest
import torch
from PIL import Image

from aecodec.errors import BadArgument, BadData
from aecodec.training.classic.classifier import Classifier, accuracy, train_classifier
from aecodec.training.classic.data import Pictures, fit, load, load_both, to_pixels, to_tensor

CPU = torch.device("cpu")


@pytest.fixture
def random():
    return np.random.default_rng(0)


def saved(folder, pixels, start=0):
    folder.mkdir(parents=True, exist_ok=True)
    for number, one in enumerate(pixels):
        Image.fromarray(one).save(folder / f"{start + number:03}.png")


# Folders


def test_a_folder_of_pictures_is_read_in_order_and_has_no_classes(tmp_path, random):
    pixels = random.integers(0, 256, (3, 8, 8, 3), np.uint8)
    saved(tmp_path / "set", pixels)
    found = load(tmp_path / "set", "train")
    assert np.array_equal(found.pixels, pixels) and found.labels is None and found.name == "set"


def test_sub_folders_are_classes_in_the_order_of_their_names(tmp_path, random):
    pixels = random.integers(0, 256, (5, 8, 8), np.uint8)
    saved(tmp_path / "dog", pixels[2:])
    saved(tmp_path / "cat", pixels[:2])
    found = load(tmp_path, "train")
    assert found.pixels.shape == (5, 8, 8, 1)  # grey files stay grey
    assert np.array_equal(found.pixels[..., 0], pixels)
    assert found.labels.tolist() == [0, 0, 1, 1, 1]


def test_one_picture_in_colour_makes_all_of_them_colour(tmp_path, random):
    grey = random.integers(0, 256, (1, 8, 8), np.uint8)
    saved(tmp_path, grey)
    saved(tmp_path, random.integers(0, 256, (1, 8, 8, 3), np.uint8), start=1)
    found = load(tmp_path, "train")
    assert found.channels == 3 and np.array_equal(found.pixels[0], np.repeat(grey[0][..., None], 3, axis=2))


def test_pictures_of_unequal_sizes_are_refused_and_the_odd_one_is_named(tmp_path, random):
    saved(tmp_path, random.integers(0, 256, (2, 8, 8, 3), np.uint8))
    saved(tmp_path, random.integers(0, 256, (1, 8, 9, 3), np.uint8), start=2)
    with pytest.raises(BadData, match=r"002\.png is 9 x 8 pixels, not 8 x 8"):
        load(tmp_path, "train")


def test_half_a_picture_is_refused_by_name(tmp_path, random):
    saved(tmp_path, random.integers(0, 256, (2, 32, 32, 3), np.uint8))
    (tmp_path / "001.png").write_bytes((tmp_path / "001.png").read_bytes()[:1000])
    with pytest.raises(BadData, match=r"001\.png"):
        load(tmp_path, "train")


def test_no_folder_and_no_pictures_are_refused(tmp_path):
    with pytest.raises(BadData, match="nowhere is not a folder.*mnist:FOLDER"):
        load(tmp_path / "nowhere", "train")
    with pytest.raises(BadData, match="holds no pictures"):
        load(tmp_path, "train")


def test_without_pictures_to_test_with_every_tenth_is_held_back(tmp_path, random):
    pixels = random.integers(0, 256, (20, 8, 8, 3), np.uint8)
    saved(tmp_path / "many", pixels)
    train, test = load_both(tmp_path / "many", None)
    assert np.array_equal(test.pixels, pixels[[9, 19]]) and len(train) == 18
    saved(tmp_path / "few", pixels[:3])
    with pytest.raises(BadData, match="ten are needed"):
        load_both(tmp_path / "few", None)
    train, test = load_both(tmp_path / "many", tmp_path / "few")
    assert len(train) == 20 and len(test) == 3


# What a network takes


def test_mnist_is_padded_on_all_sides_and_grey_becomes_colour(random):
    digits = Pictures(random.integers(0, 256, (2, 28, 28, 1), np.uint8), np.array([3, 4], np.uint8), "digits")
    padded = fit(digits, 3, 32)
    assert padded.pixels.shape == (2, 32, 32, 3) and padded.labels.tolist() == [3, 4]
    assert np.array_equal(padded.pixels[:, 2:-2, 2:-2, 1:2], digits.pixels)
    assert np.array_equal(padded.pixels[:, 0, 2:-2], padded.pixels[:, 2, 2:-2])  # edges repeated


@pytest.mark.parametrize(
    ("channels", "side", "said"), [(3, 96, "96 x 96"), (3, 16, "16 x 16"), (1, 32, "grey")]
)
def test_other_sizes_and_colour_for_a_grey_network_are_refused(random, channels, side, said):
    pictures = Pictures(random.integers(0, 256, (2, 32, 32, 3), np.uint8), None, "cars")
    with pytest.raises(BadData, match=f"cars.*{said}"):
        fit(pictures, channels, side)


def test_pixels_become_tensors_and_come_back(random):
    pixels = random.integers(0, 256, (4, 6, 6, 3), np.uint8)
    x = to_tensor(pixels)
    assert x.shape == (4, 3, 6, 6) and float(x.max()) <= 1
    assert np.array_equal(to_pixels(x), pixels)
    assert np.array_equal(to_pixels(x + 1), np.full_like(pixels, 255))  # what is beyond is cut
    batches = list(Pictures(pixels, None, "").batches(3, CPU))
    assert [len(batch) for batch in batches] == [3, 1] and torch.equal(torch.cat(batches), x)


# torchvision


def idx(array):
    """An array in the format of MNIST's files."""
    shape = b"".join(size.to_bytes(4, "big") for size in array.shape)
    return bytes((0, 0, 8, array.ndim)) + shape + array.tobytes()


def write_mnist(root, random, count=5):
    raw = root / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for part in ("train", "t10k"):
        (raw / f"{part}-images-idx3-ubyte").write_bytes(
            idx(random.integers(0, 256, (count, 28, 28), np.uint8))
        )
        (raw / f"{part}-labels-idx1-ubyte").write_bytes(idx(np.arange(count, dtype=np.uint8)))
    return raw


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*_, **__):
        raise urllib.error.URLError("no network")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)


@pytest.fixture
def torchvision():
    from torchvision_operators import declare

    declare()
    return pytest.importorskip("torchvision")


def test_mnist_is_read_through_torchvision(tmp_path, random, no_network, torchvision):
    raw = write_mnist(tmp_path, random)
    found = load(f"mnist:{tmp_path}", "test")
    assert found.pixels.shape == (5, 28, 28, 1) and found.labels.tolist() == [0, 1, 2, 3, 4]
    assert (raw / "t10k-images-idx3-ubyte").read_bytes()[16:] == found.pixels.tobytes()
    train, test = load_both(f"mnist:{tmp_path}", None)
    assert not np.array_equal(train.pixels, test.pixels)


def test_half_downloaded_sets_are_refused_in_a_sentence(tmp_path, random, no_network, torchvision):
    raw = write_mnist(tmp_path, random)
    images = raw / "train-images-idx3-ubyte"
    images.write_bytes(images.read_bytes()[:-100])
    with pytest.raises(BadData, match="holds no whole MNIST.*load it again"):
        load(f"mnist:{tmp_path}", "train")
    (raw / "train-labels-idx1-ubyte").unlink()
    (raw / "train-labels-idx1-ubyte.gz").write_bytes(gzip.compress(b"half")[:-3])
    with pytest.raises(BadData, match="no network"):
        load(f"mnist:{tmp_path}", "train")


@pytest.mark.parametrize("name", ["cifar10", "stl10"])
def test_sets_that_are_not_there_and_cannot_be_had_are_refused(tmp_path, no_network, torchvision, name):
    with pytest.raises(BadData, match=f"holds no whole {name.upper()[:5]}.*no network"):
        load(f"{name}:{tmp_path}", "train")


def test_other_sets_are_brought_into_the_same_shape(tmp_path, monkeypatch, random, torchvision):
    """As CIFAR10 and STL10 of torchvision give them: [N, H, W, C] with a list, [N, C, H, W] with an array."""
    pixels = random.integers(0, 256, (2, 32, 32, 3), np.uint8)

    def cifar10(root, train, download):
        assert download and not train
        return types.SimpleNamespace(data=pixels, targets=[7, 1])

    def stl10(root, split, download):
        assert download and split == "train"
        return types.SimpleNamespace(data=pixels.transpose(0, 3, 1, 2), labels=np.array([7, 1], np.uint8))

    monkeypatch.setattr("torchvision.datasets.CIFAR10", cifar10)
    monkeypatch.setattr("torchvision.datasets.STL10", stl10)
    for found in (load(f"cifar10:{tmp_path}", "test"), load(f"stl10:{tmp_path}", "train")):
        assert np.array_equal(found.pixels, pixels) and found.labels.tolist() == [7, 1]


@pytest.mark.parametrize(
    "fault", [ImportError("none"), RuntimeError("operator torchvision::nms does not exist")]
)
def test_torchvision_that_cannot_be_imported_is_a_sentence(tmp_path, monkeypatch, fault):
    class Broken:
        def find_spec(self, name, *_):
            if name == "torchvision":
                raise fault

    for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [Broken(), *sys.meta_path])
    with pytest.raises(BadArgument, match=f"{fault}.*install"):
        load(f"mnist:{tmp_path}", "train")


# The classifier


@pytest.fixture(scope="module")
def stripes():
    """Two classes: stripes upright and lying, with noise."""
    random = np.random.default_rng(1)
    wave = (np.sin(np.arange(16) * 1.5) * 60 + 128)[:, None].repeat(16, 1)
    labels = np.tile(np.array([0, 1], np.uint8), 160)
    pixels = np.stack([wave.T if label else wave for label in labels])[..., None]
    noisy = pixels + random.normal(0, 40, pixels.shape)
    return Pictures(noisy.clip(0, 255).astype(np.uint8), labels, "stripes")


def test_a_classifier_learns_and_comes_back_from_its_file(stripes, tmp_path):
    train, test = stripes.where(slice(256)), stripes.where(slice(256, None))
    network = train_classifier(Classifier(1, 2, width=8), train, 12, CPU)
    assert accuracy(network, test, CPU) > 0.9
    network.save(tmp_path / "judge.safetensors")
    again = Classifier.load(tmp_path / "judge.safetensors", CPU)
    x = to_tensor(test.pixels)
    assert torch.equal(again(x), network(x))
    assert [tuple(y.shape) for y in again.features(x)] == [(64, 8, 16, 16), (64, 16, 8, 8), (64, 32, 4, 4)]


def test_what_is_no_classifier_and_pictures_without_classes_are_refused(stripes, tmp_path, tiny_model):
    (tmp_path / "text.safetensors").write_text("no")
    for path in (tiny_model, tmp_path / "text.safetensors", tmp_path / "none.safetensors"):
        with pytest.raises(BadData, match=path.stem):
            Classifier.load(path, CPU)
    with pytest.raises(BadData, match="no classes"):
        train_classifier(Classifier(1), Pictures(stripes.pixels, None, "stripes"), 1, CPU)
