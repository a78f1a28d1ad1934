"""Which metrics rank methods, and how their values vary."""

import pytest

import zoo.evaluation.metrics  # noqa: F401 (registers every metric)
from tests.evaluation.conftest import measured
from zoo.evaluation.measures.linear_probe import PENALTIES
from zoo.evaluation.registry import METRICS

# Directed metrics whose value is no function of means over test samples, or one whose influences are not known.
SEEDS_ALONE = {
    *("bd_rate_against_pca", "bits_against_pca", "bd_rate_against_jpeg", "bd_rate_against_webp"),
    *("dead_fraction", "codebook_use", "planted_recovery", "topic_coherence", "wordsim353", "simlex999"),
    *("mig", "sap", "factor_vae_score", "dci_disentanglement", "dci_completeness", "dci_informativeness"),
    *("cka_across_seeds", "matched_units_across_seeds"),
}


def test_what_is_the_same_for_every_model_ranks_nothing():
    same = [m for m in METRICS.values() if "same for every model" in (m.function.__doc__ or "")]
    assert len(same) >= 4
    assert [m.name for m in same if m.direction != "none"] == []


@pytest.mark.parametrize("name", ["code_bits", "gap_realism", "code_gap", "density", "codebook_perplexity"])
def test_what_is_good_neither_high_nor_low_ranks_nothing(name):
    assert METRICS[name].direction == "none"


def test_metrics_with_a_direction_vary_over_test_samples(pca, digits):
    groups = ["reconstruction", "probing", "clustering", "code", "robustness", "dictionary", "rate", "label_efficiency"]
    found = measured(pca, digits, groups, {})
    fixed = {
        name
        for name, entry in found.items()
        if entry["direction"] != "none" and entry["value"] is not None and "resampled" not in entry
    }
    assert fixed - SEEDS_ALONE == set()


def test_the_probe_may_be_penalised_more_than_by_a_thousandth():
    assert min(PENALTIES) < 1e-3
