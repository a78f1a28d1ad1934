"""Figures of documents and words, from records with scores made by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from zoo.report.figures.texts import (
    document_maps,
    neighbours,
    retrieval_curves,
    scores_against_width,
    short,
    topics,
    with_room,
    word_maps,
)
from zoo.runs.records import read_records

ABOUT = {"unit": "1", "direction": "higher", "group": "documents"}
WIDTHS, SEEDS = (2, 10), (0, 1)
VARIANTS = ("svd", "vae")
GROUPS = ["rec.autos", "rec.autos", "sci.space", "sci.space"]


def scored(record, width, seed):
    """A record with scores that follow from its variant, width and seed."""
    value = 0.1 * VARIANTS.index(record.variant) + width / 100 + seed / 1000
    curves = {
        "retrieval_curve": {"retrieved": [1.0, 3.0], "recall": [0.01, 0.03], "precision": [value, value / 2]},
        "topic_coherence": {"terms": ["orbit moon " * 5, "car engine " * 5], "coherence": [value, value / 2]},
        "document_map": {"group": GROUPS, "x": [0.0, 0.1, 0.9, 1.0], "y": [0.0, value, 0.2, 0.3]},
        "word_neighbours": {"word": ["orbit", "car"], "neighbours": ["moon planet", "engine"]},
        "word_map": {"word": ["orbit", "moon", "car"], "x": [0.0, 0.1, 1.0], "y": [value, 0.2, 0.3]},
    }
    metrics = {name: ABOUT | {"value": value, "curve": curve} for name, curve in curves.items()}
    metrics |= {name: ABOUT | {"value": value} for name in ("retrieval_precision", "wordsim353")}
    metrics["retrieval_precision_of_terms"] = ABOUT | {"value": 0.3, "direction": "none"}
    config = record.config | {"data": {"source": {"weights": "tfidf"}}}
    return replace(
        record,
        config=config,
        name=record.variant,
        width=width,
        seed=seed,
        hash=f"{record.variant}{width}",
        metrics=metrics,
    )


@pytest.fixture(scope="module")
def records(repository):
    digits = read_records(repository / "results", "digits")
    first = [next(record for record in digits if record.variant == variant) for variant in VARIANTS]
    return [scored(record, width, seed) for record in first for width in WIDTHS for seed in SEEDS]


def of_width(records, width):
    return [record for record in records if record.width == width]


def written(figure):
    return [text.get_text() for text in figure.axes[0].texts]


def test_scores_are_means_over_seeds_at_every_width(records):
    figure = scores_against_width(records)
    assert [panel.get_title(loc="left") for panel in figure.axes[1:]] == [
        "precision of ten retrieved documents",
        "rank correlation with WordSim-353",
    ]
    lines = [line.get_xydata().tolist() for line in figure.axes[1].lines]
    assert [[2.0, pytest.approx(0.1205)], [10.0, pytest.approx(0.2005)]] in lines
    assert [[2.0, 0.3], [10.0, 0.3]] in lines, "the terms themselves"
    assert "terms, tfidf" in written(figure)
    assert len(figure.axes[2].lines) == 2
    of_counts = {"retrieval_precision_of_terms": ABOUT | {"value": 0.25, "direction": "none"}}
    counts = {"data": {"source": {"weights": "counts"}}}
    both = [
        replace(r, metrics=r.metrics | of_counts, config=r.config | counts) if r.variant == "vae" else r
        for r in records
    ]
    figure = scores_against_width(both)
    lines = [line.get_xydata().tolist() for line in figure.axes[1].lines]
    assert [[2.0, 0.25], [10.0, 0.25]] in lines, "one line for each kind of vectors"
    assert [[2.0, 0.3], [10.0, 0.3]] in lines
    assert {"terms, tfidf", "terms, counts"} <= set(written(figure))
    assert scores_against_width(of_width(records, 2)) is None


def test_a_row_is_written_as_its_variant_where_no_other_row_is_of_it():
    names = ["svd fit.power=0", "svd", "vae optimizer.lr=1e-3"]
    assert short(names) == {"svd fit.power=0": "svd power=0", "svd": "svd", "vae optimizer.lr=1e-3": "vae"}


def test_retrieval_is_precision_against_recall(records):
    figure = retrieval_curves(of_width(records, 10))
    lines = [line.get_xydata().tolist() for line in figure.axes[1].lines]
    assert [[0.01, pytest.approx(0.2)], [0.03, pytest.approx(0.1)]] in lines
    assert [text for text in written(figure) if text in VARIANTS] == ["vae", "svd"], "the best first"


def test_topics_are_lists_of_terms_with_their_coherence(records):
    found = written(topics(of_width(records, 10)))
    assert "vae (mean 0.20)" in found
    assert "orbit moon orbit moon orbit moon orbit moon" in found
    assert found.index("vae (mean 0.20)") < found.index("svd (mean 0.10)")


def test_methods_with_the_same_topics_are_shown_once(records):
    whole = of_width(records, 10)
    halved = [replace(record, name="svd fit.power=0.5") for record in whole if record.variant == "svd"]
    assert written(topics([*whole, *halved])) == written(topics(whole))


def test_long_names_are_wrapped_above_their_panel(records):
    long = "vae corruption=word_dropout data.source.weights=counts likelihood=multinomial network=deep objective=elbo"
    named = [replace(record, name=long) if record.variant == "vae" else record for record in records]
    assert document_maps(named).axes[1].get_title(loc="left").count("\n") == 1


def test_rows_whose_labels_are_alike_have_a_list_each(records):
    alike = {"svd": "svd network=relu", "vae": "svd likelihood=relu"}
    named = [replace(record, name=alike[record.variant]) for record in of_width(records, 10)]
    assert written(neighbours(named)).count("svd relu") == 2


def test_documents_lie_on_the_plane_of_the_smallest_width_by_group(records):
    figure = document_maps(records)
    assert "the two leading axes of codes of width 2" in written(figure)[1]
    assert written(figure)[2:] == ["rec", "sci"]
    vae, svd = figure.axes[1:]
    assert (vae.get_title(loc="left"), svd.get_title(loc="left")) == ("vae", "svd")
    assert [line.get_xdata().tolist() for line in vae.lines] == [[0.0, 0.1], [0.9, 1.0]]


def test_neighbours_stand_beside_their_words(records):
    found = written(neighbours(of_width(records, 10)))
    assert found[2:] == ["vae", "orbit", "moon planet", "car", "engine", "svd", "orbit", "moon planet", "car", "engine"]


def test_words_lie_on_a_plane(records):
    (vae, svd) = word_maps(of_width(records, 10)).axes[1:]
    assert [text.get_text() for text in vae.texts] == ["orbit", "moon", "car"]
    (dots,) = svd.lines
    assert len(dots.get_xdata()) == 3


def test_a_word_that_would_cover_an_earlier_one_is_not_written():
    places = {"orbit": (0.0, 0.0), "moon": (0.4, 0.1), "car": (0.6, 0.1), "sun": (0.2, 0.25), "a": (-0.2, 0.0)}
    x, y = zip(*places.values(), strict=True)
    assert with_room([*places], x, y, letter=0.1) == [0, 2, 3, 4], "moon begins before orbit ends"


@pytest.mark.parametrize("draw", [document_maps, neighbours, retrieval_curves, scores_against_width, topics, word_maps])
def test_nothing_is_drawn_of_what_was_not_measured(records, draw):
    assert draw([replace(record, metrics={}) for record in of_width(records, 10)]) is None
