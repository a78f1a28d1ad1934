"""A worker has the versions, and the code, of the study that it computes runs of."""

from __future__ import annotations

import pytest

from zoo.errors import ZooError
from zoo.runs.study import attempt
from zoo.runs.versions import CODE, needed, versions


@pytest.mark.parametrize("name", ["torch", CODE])
def test_a_worker_with_another_version_is_refused_before_it_computes(compose_job, tmp_path, name):
    job = compose_job("variant=pca", f"paths.home={tmp_path}")
    expected = needed()
    with pytest.raises(ZooError, match=rf"^the worker on \S+ has {name} {expected[name]} instead of other: install"):
        attempt(0, [job], expected | {name: "other"}, str(tmp_path), False)
    assert list(tmp_path.iterdir()) == []


def test_a_worker_with_the_same_versions_computes(compose_job, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    job = compose_job("variant=pca", "evaluation.groups=[reconstruction]", f"paths.home={tmp_path}")
    _, found = attempt(0, [job], needed(), str(tmp_path), False)
    ((_, record),) = found
    assert record.environment["versions"] == versions()


def test_code_and_option_files_of_trusted_packages_count(tmp_path, monkeypatch):
    (tmp_path / "other" / "conf" / "network").mkdir(parents=True)
    option = tmp_path / "other" / "conf" / "network" / "mine.yaml"
    option.touch()
    (tmp_path / "other" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    found = [needed.__wrapped__(("other",))[CODE]]
    option.write_text("dim: 1")
    found.append(needed.__wrapped__(("other",))[CODE])
    (tmp_path / "other" / "__init__.py").write_text("dim = 1")
    found.append(needed.__wrapped__(("other",))[CODE])
    assert len({*found, needed()[CODE]}) == 4
