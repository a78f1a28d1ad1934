"""Metrics of documents, by hand and by oracles."""

from __future__ import annotations

from math import log

import pytest
import torch

from zoo.evaluation.evaluator import evaluate
from zoo.evaluation.measures.retrieval import retrieval
from zoo.evaluation.metrics.documents import (
    document_map,
    knn_accuracy_of_terms,
    linear_probe_accuracy_of_terms,
    perplexity,
    retrieval_curve,
    retrieval_precision,
    topic_coherence,
)
from zoo.evaluation.metrics.probing import knn_accuracy
from zoo.evaluation.registry import NotApplicable
from zoo.evaluation.subject import Subject
from zoo.runs.single import fit_one, read

WORDS = torch.tensor([[3.0, 0.0, 1.0], [0.0, 2.0, 0.0]])


def test_a_uniform_model_is_as_perplexed_as_there_are_terms():
    assert perplexity(WORDS, torch.full((2, 3), log(1 / 3))).value == pytest.approx(3)


def test_perplexity_by_hand():
    share = torch.tensor([[0.5, 0.25, 0.25], [0.1, 0.8, 0.1]])
    expected = (0.5**3 * 0.25 * 0.8**2) ** (-1 / 6)
    assert perplexity(WORDS, share.log()).value == pytest.approx(expected)
    with pytest.raises(NotApplicable, match="two words"):
        perplexity(torch.zeros(2, 3), share.log())


def test_a_code_that_is_the_label_retrieves_perfectly_and_noise_by_chance():
    labels = torch.arange(600) % 5
    numbers = (1, 10, 63)
    right = retrieval(torch.nn.functional.one_hot(labels).float() * 3, labels, numbers)
    noise = retrieval(torch.randn(600, 20, generator=torch.Generator().manual_seed(0)), labels, numbers)
    assert all(found.min() == 1 for found in right.precision.values())
    assert right.recall[63].unique().tolist() == pytest.approx([63 / 119])
    assert retrieval_precision(noise).mean().item() == pytest.approx(119 / 599, abs=0.02)
    assert retrieval_curve(right).value == 1
    assert retrieval_curve(right).table["retrieved"] == [1, 63]


def test_retrieval_by_hand():
    codes = torch.tensor([[1.0, 0.0], [2.0, 0.1], [0.0, 1.0], [0.1, 5.0], [1.0, 1.1]])
    found = retrieval(codes, torch.tensor([0, 0, 1, 1, 1]), (1, 2))
    assert found.precision[1].tolist() == [1, 1, 1, 1, 1]
    assert found.precision[2].tolist() == [0.5, 0.5, 1, 1, 1]
    assert found.recall[2].tolist() == [1, 1, 1, 1, 1]
    assert found.recall[1].tolist() == [1, 1, 0.5, 0.5, 0.5]


@pytest.fixture(scope="module")
def subject(compose_job):
    job = compose_job(
        *("variant=deep_ae", "data=docstrings", "data.source.weights=counts", "likelihood=multinomial"),
        *("width=4", "hidden=[16]", "budget.epochs=2"),
    )
    data = read(job)
    with torch.no_grad():
        yield Subject(fit_one(job, data).model, data, {})


def test_halves_hold_the_words_of_their_documents(subject):
    seen, held = subject.halves
    assert torch.equal(seen + held, subject.x)
    difference = (seen - held).flatten(1).sum(1)
    assert set(difference.tolist()) <= {0.0, 1.0}
    assert seen.min() >= 0 <= held.min()


def test_probabilities_add_to_one_and_training_lowers_perplexity(subject):
    share = subject.term_log_probabilities.exp()
    torch.testing.assert_close(share.sum(1), torch.ones(len(share), dtype=torch.float64))
    assert 1 < perplexity(subject.held_out_words, subject.term_log_probabilities).value < share.shape[1]


@torch.no_grad()
def test_test_documents_lie_on_a_plane_with_the_names_of_their_labels(subject):
    found = document_map(subject.document_plane)
    assert 150 <= len(found.table["group"]) <= 300
    assert set(found.table["group"]) <= set(subject.data.classes)
    assert 0.5 < found.value <= 1


def test_topics_are_the_terms_that_units_add_and_their_coherence_is_that_of_pairs(subject):
    topics = subject.topics
    assert [len(set(terms)) for terms in topics.terms] == [10] * 4
    present = torch.cat([x.flatten(1) > 0 for x in subject.data.train.batches(500)]).double()
    places = [subject.terms.index(term) for term in topics.terms[2]]
    found = []
    for i, a in enumerate(places):
        for b in places[i + 1 :]:
            both, one, other = (
                each.mean().item() for each in (present[:, a] * present[:, b], present[:, a], present[:, b])
            )
            found.append(log(both / (one * other)) / -log(both) if both else -1)
    assert topics.coherence[2].item() == pytest.approx(sum(found) / 45, rel=1e-6)
    curve = topic_coherence(topics)
    assert curve.value == pytest.approx(topics.coherence.mean().item())
    assert curve.table["coherence"] == sorted(curve.table["coherence"], reverse=True)


def test_the_terms_themselves_are_references(compose_job):
    """What a code of all features would score, as each is measured."""
    job = compose_job("variant=svd", "data=wine", "width=2")
    data = read(job)
    subject = Subject(fit_one(job, data).model, data, {})
    train, test = data.train, data.test
    assert torch.equal(linear_probe_accuracy_of_terms(subject.pixel_probe), subject.pixel_probe)
    expected = knn_accuracy(train[:].flatten(1), train.labels, test[:].flatten(1), test.labels)
    assert torch.equal(knn_accuracy_of_terms(data, test.labels), expected)
    assert expected.float().mean() > 0.8
    found = evaluate(subject.model, data, ["linear_probe_accuracy_of_terms", "knn_accuracy_of_terms"], {})
    assert found["knn_accuracy_of_terms"]["value"] == pytest.approx(expected.double().mean().item())
    assert found["linear_probe_accuracy_of_terms"]["value"] > 0.8


def test_units_that_never_vary_have_no_topic(subject):
    dead = subject.train_codes.clone()
    dead[:, 1] = 0.5
    other = Subject(subject.model, subject.data, subject.fit)
    other.__dict__["train_codes"] = dead
    assert len(other.topics.terms) == len(subject.topics.terms) - 1
    other = Subject(subject.model, subject.data, subject.fit)
    other.__dict__["train_codes"] = torch.ones_like(dead)
    with pytest.raises(NotApplicable, match="equal"):
        _ = other.topics
