"""Every claim in its reduced version comes to the verdict of results/claims/, whose page is what its files hold."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from experiments.claims import NAMES, claim_of, statistics
from experiments.claims.__main__ import run_claims
from experiments.claims.claim import Case, Number, outcomes, verdict
from experiments.claims.page import numbers_of, page, texts
from zoo.cli import main
from zoo.errors import ZooError

RESULTS = Path(__file__).parents[2] / "results" / "claims"


def committed(name: str) -> dict[str, Any]:
    return json.loads((RESULTS / f"{name}.json").read_text())


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """A home of its own, in which the reduced versions share their models."""
    return tmp_path_factory.mktemp("home")


@pytest.mark.parametrize("name", NAMES)
def test_the_reduced_version_comes_to_the_same_verdict(name, home, monkeypatch):
    monkeypatch.setenv("ZOO_HOME", str(home))
    reduced, whole = claim_of(name).reduced, committed(name)
    run_claims([name, f"data={reduced}", "processes=1"])
    found = json.loads((home / "outputs" / "claims" / f"{name}.json").read_text())
    ours, theirs = results(found["cases"][reduced]), results(next(iter(whole["cases"].values())))
    assert ours.keys() == theirs.keys()
    # of one seed, without an interval, a number near its bound comes out on either side on different processors
    numbers = found["numbers"][reduced]
    vague = {c["part"] for c in found["cases"][reduced] if c["beside"] and numbers[c["number"]]["low"] is None}
    contradicted = [part for part in ours if {ours[part], theirs[part]} == {True, False} and part not in vague]
    assert contradicted == []
    assert [part for part in ours if ours[part]], "it shows nothing"
    assert found["verdict"]["outcome"] == whole["verdict"]["outcome"]
    with Image.open(home / "outputs" / "claims" / found["figure"]) as figure:
        assert min(figure.size) > 200


def results(cases: list[dict[str, Any]]) -> dict[str, bool | None]:
    return {case["part"]: case["holds"] for case in cases}


@pytest.mark.parametrize("name", NAMES)
def test_a_file_holds_the_texts_of_its_claim_and_what_follows_from_its_numbers(name):
    claim, known = claim_of(name), committed(name)
    assert texts(claim) == {key: known[key] for key in texts(claim)}, f"run zoo claims {name} paths.results=results"
    assert tuple(known["numbers"]) == claim.data
    cases = {data: claim.cases(numbers) for data, numbers in numbers_of(known).items()}
    assert {data: [asdict(case) for case in each] for data, each in cases.items()} == known["cases"]
    assert asdict(verdict(cases, claim.answers)) == known["verdict"]
    assert known["verdict"]["answer"], f"no sentence in Claim.answers for the outcomes {outcomes(cases)}"
    assert (RESULTS / known["figure"]).is_file()


def test_the_page_is_what_the_files_hold():
    assert (RESULTS / "README.md").read_text() == page(RESULTS), "run zoo claims paths.results=results"


def cases_of(*holds: bool | None) -> list[Case]:
    return [Case(f"It is so for {k}", "n", each) for k, each in enumerate(holds)]


@pytest.mark.parametrize(
    ("cases", "outcome", "text"),
    [
        ({"mnist": cases_of(True, True)}, "holds", "holds"),
        ({"mnist": cases_of(False, None)}, "does not hold", "does not hold: 0 of 2 parts true, 1 undecided"),
        ({"mnist": cases_of(True, False)}, "holds in part", "holds in part: 1 of 2 parts true"),
        ({"mnist": cases_of(True, None)}, "holds in part", "holds in part: 1 of 2 parts true, 1 undecided"),
        ({"mnist": [*cases_of(True), Case("A control", "n", False, beside=True)]}, "holds", "holds"),
        (
            {"mnist": cases_of(True, True), "faces": cases_of(True, False)},
            "holds in part",
            "holds in part: 3 of 4 parts true",
        ),
    ],
)
def test_a_verdict_follows_from_the_cases(cases, outcome, text):
    found = verdict(cases, {"yn": "Only  for\n 0."})
    assert (found.outcome, found.text) == (outcome, text)
    assert found.answer == ("Only for 0." if outcomes(cases) == "yn" else "")


def test_an_interval_that_includes_the_bound_leaves_a_case_open():
    assert Number(1.0, 0.5, 1.5).above(0.4) is True
    assert Number(1.0, 0.5, 1.5).above(1.6) is False
    assert Number(1.0, 0.5, 1.5).above(1.1) is None
    assert Number(1.0, 0.5, 1.5).below(1.6) is True
    assert Number(1.0).below(1.1) is True


def test_a_case_between_two_bounds_is_false_outside_of_them():
    rule = {"above": -1.0, "below": 1.0}
    assert [Case.of("", "n", Number(value, value - 0.5, value + 0.5), **rule).holds for value in (0, 0.8, 3)] == [
        True,
        None,
        False,
    ]
    assert Case.of("", "n", Number(0.0), **rule).rule == "above -1 and below 1"


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (Number(1.00017, 0.9998, 1.00054), "1.00017 (0.99980 to 1.00054)"),
        (Number(88.45, 87.61, 89.29), "88.45 (87.61 to 89.29)"),
        (Number(2345.6, 1000.0, 3700.0), "2,346 (1,000 to 3,700)"),
        (Number(0.123456), "0.123"),
        (Number(1.0, 1.0, 1.0), "1.000 (1.000 to 1.000)"),
    ],
)
def test_a_number_is_written_as_exactly_as_its_interval_allows(number, text):
    assert str(number) == text


def test_intervals_over_images_are_paired_and_cover_the_truth():
    rng = np.random.default_rng(0)
    common = rng.normal(size=2000)
    a, b = common + 0.1 * rng.normal(size=2000) + 0.05, common
    paired = statistics.difference(a, b)
    assert paired.low is not None
    assert paired.high is not None
    assert paired.low < 0.05 < paired.high
    assert paired.above(0.0) is True
    expected = 1.96 * 0.1 / np.sqrt(2000)
    assert paired.high - paired.value == pytest.approx(expected, rel=0.15)
    mean = statistics.mean(a)
    assert mean.above(0.0) is None, "images differ far more than the two values of one image do"
    assert statistics.ratio(a + 1, b + 1).value == pytest.approx((a + 1).mean() / (b + 1).mean())


def test_an_interval_holds_no_value_that_the_number_cannot_take():
    rng = np.random.default_rng(0)
    wild = statistics.ratio(rng.exponential(size=(3, 5)) * [[1], [20], [1]], np.ones(5))
    assert 0 < wild.low < wild.value < wild.high
    assert statistics.mean(np.abs(rng.standard_cauchy((2, 6)))).low > 0
    none, every = statistics.share(np.zeros((3, 40))), statistics.share(np.ones((3, 40)))
    assert (none.low, every.high) == (0, 1)
    assert none.high == pytest.approx(0.0876, abs=1e-3), "Wilson's for 0 of 40"
    assert every.low == pytest.approx(1 - none.high)
    some = statistics.share(rng.random((3, 400)) < 0.3)
    assert some.high - some.low == pytest.approx(2 * 1.96 * np.sqrt(0.3 * 0.7 / 400), rel=0.5)


def test_images_of_one_person_are_resampled_together():
    rng = np.random.default_rng(0)
    people = np.repeat(np.arange(20), 10)
    values = rng.normal(size=20)[people] + 0.01 * rng.normal(size=200)
    alone, together = statistics.mean(values), statistics.mean(values, groups=people)
    assert together.value == pytest.approx(alone.value)
    assert (together.high - together.low) / (alone.high - alone.low) == pytest.approx(np.sqrt(10), rel=0.2)


def test_seeds_widen_an_interval():
    rng = np.random.default_rng(0)
    same = np.stack([rng.normal(size=500)] * 3)
    apart = same + np.array([[-0.5], [0.0], [0.5]])
    narrow, wide = statistics.mean(same), statistics.mean(apart)
    assert narrow.value == pytest.approx(wide.value)
    assert wide.high - wide.low > 5 * (narrow.high - narrow.low)
    seeds = statistics.over_seeds([1.0, 2.0, 3.0])
    assert seeds.high - seeds.value == pytest.approx(4.3027 / np.sqrt(3), rel=1e-4)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["linaer"], "did you mean linear"),
        (["linear", "data=mnist"], "data=digits"),
        (["linear", "seed=1"], "no such setting"),
        (["linear", "processes=0"], "1 or more"),
    ],
)
def test_mistakes_are_told_in_a_sentence(words, said):
    with pytest.raises(ZooError, match=said):
        run_claims(words)


def test_outside_a_checkout_the_command_says_where_the_claims_are(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as left:
        main(["claims", "linear"])
    assert left.value.code == 2
    assert "no checkout of the zoo" in capsys.readouterr().err


def test_the_command_tells_a_mistake(monkeypatch, capsys, repository):
    monkeypatch.chdir(repository)
    with pytest.raises(SystemExit) as left:
        main(["claims", "linaer"])
    assert left.value.code == 2
    assert "did you mean linear" in capsys.readouterr().err
