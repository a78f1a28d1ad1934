"""Words of documents, dropped at random."""

import pytest
import torch

from zoo.errors import ZooError
from zoo.model.corruptions.word_dropout import WordDropout


def test_whole_terms_are_dropped_at_the_rate_and_others_stay():
    x = torch.randint(1, 9, (500, 1, 1, 40), generator=torch.Generator().manual_seed(0)).float()
    seen, dropped = WordDropout(0.3)(x, torch.Generator().manual_seed(1))
    assert dropped.mean().item() == pytest.approx(0.3, abs=0.01)
    assert torch.equal(seen, x * (1 - dropped))
    again, _ = WordDropout(0.3)(x, torch.Generator().manual_seed(1))
    assert torch.equal(again, seen)
    assert torch.equal(WordDropout(0.0)(x)[0], x)


def test_it_is_for_counts(compose_job, fit_job):
    with pytest.raises(ZooError, match=r"corruption=word_dropout is for counts, and these samples are images"):
        fit_job(compose_job("variant=deep_ae", "corruption=word_dropout", "budget.epochs=1"))
    with pytest.raises(ZooError, match=r"corruption\.rate=1\.5"):
        WordDropout(1.5)
