"""A class that is left out of training."""

from __future__ import annotations

import pytest
import torch

from zoo.data.images import Images, Source
from zoo.data.left_out import leaving_out
from zoo.data.sources import digits
from zoo.data.splits import Splits
from zoo.errors import ZooError

ANIMALS = ("cat", "dog", "frog")


@pytest.fixture
def animals() -> Source:
    """Images that show the number of their class: 30 to train, 12 to test."""
    train, test = (torch.arange(n) % 3 for n in (30, 12))
    shown = [Images(labels.to(torch.uint8).view(-1, 1, 1, 1), labels, scale=1.0) for labels in (train, test)]
    return Source("animals", shown[0], shown[1], ANIMALS)


@pytest.mark.parametrize("which", range(3))
def test_a_class_is_in_no_part_but_among_those_left_out(animals, which):
    data = Splits(leaving_out(animals, which))
    assert data.left_out.pixels.flatten().tolist() == [which] * 4
    assert (len(data.train) + len(data.validation), len(data.test)) == (20, 8)
    for part in (data.train, data.validation, data.test):
        shown = part.pixels.flatten().tolist()
        assert which not in shown
        assert [data.classes[label] for label in part.labels] == [ANIMALS[number] for number in shown]
    assert data.classes == tuple(name for name in ANIMALS if name != ANIMALS[which])


def test_a_class_by_its_name_is_that_by_its_number(animals):
    by_name, by_number = leaving_out(animals, "dog"), leaving_out(animals, 1)
    assert by_name.classes == by_number.classes == ("cat", "frog")
    for part in ("train", "test", "left_out"):
        assert getattr(by_name, part).digest() == getattr(by_number, part).digest()


def test_nothing_is_left_out_by_default(animals):
    assert leaving_out(animals, None) is animals
    assert Splits(animals).left_out is None


@pytest.mark.parametrize(
    ("which", "told"),
    [
        ("dgo", r"^data\.source\.without=dgo: animals has no such class; did you mean dog\?$"),
        (3, r"^data\.source\.without=3: the classes of animals have the numbers 0 to 2$"),
        (-1, r"^data\.source\.without=-1: the classes of animals have the numbers 0 to 2$"),
    ],
)
def test_a_class_that_does_not_exist(animals, which, told):
    with pytest.raises(ZooError, match=told):
        leaving_out(animals, which)


@pytest.mark.parametrize("classes", [(), ("cat",)])
def test_a_data_set_without_another_class(animals, classes):
    alone = Source("cats", animals.train, animals.test, classes)
    with pytest.raises(ZooError, match=r"^data\.source\.without=0: cats does not have two classes, so no sample would"):
        leaving_out(alone, 0)


def test_digits_without_nines_are_the_other_digits():
    whole, some = digits(), digits(without=9)
    for part, other in ((whole.train, some.train), (whole.test, some.test)):
        assert torch.equal(part.pixels[part.labels != 9], other.pixels)
        assert torch.equal(part.labels[part.labels != 9], other.labels)
    assert torch.equal(whole.test.pixels[whole.test.labels == 9], some.left_out.pixels)
    assert some.classes == tuple("012345678")


def test_it_is_a_setting_of_the_data_and_of_the_identity(compose_job):
    usual, without, other = (
        compose_job(*more) for more in ((), ("data.source.without=9",), ("data.source.without=8",))
    )
    assert "without" not in usual.config["data"]["source"]
    assert len({usual.key, without.key, other.key}) == 3
    assert "data.source.without=9" in without.name
    assert without.make("data").classes == tuple("012345678")
    with pytest.raises(ZooError, match=r"without=true: must be a whole number or a text or null$"):
        compose_job("data.source.without=true").make("data")
