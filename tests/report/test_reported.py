"""What others report, beside the zoo's own cells."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.report.digits_records import table_records
from zoo.errors import ZooError
from zoo.evaluation.registry import METRICS
from zoo.options import names
from zoo.report.reported import Reported, reported, reported_for
from zoo.report.table import columns, markdown, reported_table


def test_every_line_names_a_data_set_a_variant_and_a_metric() -> None:
    found = reported()
    assert len(found) >= 4
    for each in found:
        assert each.data in names("data")
        assert each.variant in names("variant")
        assert each.metric in METRICS
        assert each.source


def test_a_line_with_another_field_is_refused(tmp_path) -> None:
    (tmp_path / "r.yaml").write_text("- {data: mnist, value: 3}\n")
    with pytest.raises(ZooError, match="entry 1 needs the fields data, epochs, metric, source, value, variant, width"):
        reported(tmp_path / "r.yaml")


def test_a_value_may_be_of_certain_settings_alone() -> None:
    plain = table_records()[0]
    fifty = replace(plain, name=f"{plain.name} bottleneck.samples=50 likelihood.std=1")
    line = Reported(plain.data, plain.variant, None, "sse", 1.0, None, "x", ("bottleneck.samples=50",))
    assert [record.name for record, _ in reported_for([plain, fifty], [line])] == [fifty.name]
    assert len(reported_for([plain], [line], ["bottleneck.samples=50"])) == 1, "all rows have it, so no name does"
    layers = replace(line, settings=("hidden=[8, 4]",))
    assert len(reported_for([replace(plain, name="vae hidden=[8, 4]")], [layers])) == 1
    assert any(each.settings == ("bottleneck.samples=50",) for each in reported())


def test_reported_values_stand_beside_the_cells_of_their_rows(monkeypatch) -> None:
    records = table_records()
    line = Reported("digits", "pca", 8, "sse", 1.25, None, "somebody 2020")
    others = [replace(line, width=9), replace(line, data="mnist"), replace(line, metric="none")]
    assert [each for _, each in reported_for(records, [line, *others])] == [line]
    monkeypatch.setattr("zoo.report.table.reported", lambda: [line])
    text = reported_table(records, columns(records))
    assert "somebody 2020" in text
    assert "1.25" in text
    monkeypatch.setattr("zoo.report.table.reported", lambda: [replace(line, value=0.0053)])
    assert "0.0053" in reported_table(records, columns(records)), "as it is reported"
    monkeypatch.setattr("zoo.report.table.reported", lambda: [line])
    assert "## Reported elsewhere\n\n|" in markdown(records, "zoo report")
    monkeypatch.setattr("zoo.report.table.reported", list)
    assert "Reported elsewhere" not in markdown(records, "zoo report")
