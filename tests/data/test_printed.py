import pytest
import torch

from zoo.data.sources import documents
from zoo.data.sources.printed import FONTS, INK, PAGE, PAPER, WORDS, printed_pages
from zoo.errors import ZooError


def bare(words):
    return {word.strip(".,;:").lower() for word in words}


def family(font):
    return "STIX" if font.startswith("STIX") else font[:6]  # DejaVu, cmr10, cmss10, cmti10, cmtt10


def occurs(patch, pages):
    """Whether patch: (S, S) occurs on pages: (P, H, W)."""
    size = len(patch)
    places = torch.ones_like(pages[:, size - 1 :, size - 1 :], dtype=torch.bool)
    for row in range(size):
        for column in range(size):
            window = pages[:, row : row + places.shape[1], column : column + places.shape[2]]
            places &= window == patch[row, column]
    return bool(places.any())


def test_the_parts_share_no_font_family_and_no_word():
    assert not {family(font) for font in FONTS["train"]} & {family(font) for font in FONTS["test"]}
    assert not bare(WORDS["train"]) & bare(WORDS["test"])
    assert min(len(bare(words)) for words in WORDS.values()) > 60


def test_pages_are_ink_on_white_paper_and_keep_their_margins():
    pages = printed_pages("test", 3, seed=0)
    assert pages.shape == (3, 1, *PAGE)
    assert (pages.min(), pages.max()) == (INK, PAPER)
    for edge in (pages[..., :16], pages[..., -16:], pages[..., :16, :]):
        assert (edge == PAPER).all()
    assert 0.02 < (pages < 128).float().mean() < 0.25, "neither empty nor black"


def test_pages_are_drawn_from_their_seed_and_part():
    one, again, other, part = (
        printed_pages("train", 1, 0),
        printed_pages("train", 1, 0),
        printed_pages("train", 1, 1),
        printed_pages("test", 1, 0),
    )
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
    assert not torch.equal(one, part)


def test_patches_are_from_the_pages_of_their_part_and_determined_by_the_seed():
    source = documents(size=16, n_train=20, n_test=10, pages=2, seed=3)
    for part, images in (("train", source.train), ("test", source.test)):
        pages = printed_pages(part, 2, 3)[:, 0]
        assert all(occurs(patch[0], pages) for patch in images.pixels[:2])
    documents.cache_clear()
    again, other = (documents(size=16, n_train=20, n_test=10, pages=2, seed=seed) for seed in (3, 4))
    assert torch.equal(again.train.pixels, source.train.pixels)
    assert not torch.equal(other.train.pixels, source.train.pixels)
    colour = documents(size=16, n_train=20, n_test=10, pages=2, colour=True, seed=3)
    assert torch.equal(colour.train.pixels, source.train.pixels.expand(-1, 3, -1, -1))


@pytest.mark.parametrize("wrong", [{"size": 0}, {"size": 481}, {"n_train": 0}, {"n_test": 0}, {"pages": 0}])
def test_invalid_settings_are_refused(wrong):
    (name,) = wrong
    with pytest.raises(ZooError, match=rf"{name}={wrong[name]}"):
        documents(**wrong)
