"""The catalogue as text: nothing unverified passes for a fact, and no figure is left out."""

from __future__ import annotations

import pytest
from ipg_emulator.catalogue import describe, summary
from ipg_emulator.model import load, names

MODELS = [load(name) for name in names()]


def test_the_summary_has_a_line_for_each_model() -> None:
    lines = summary().splitlines()
    assert [line.split()[0] for line in lines[1:]] == names()


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
class TestDescription:
    def test_each_segment_of_each_range_is_shown_with_its_source(self, model) -> None:
        text = describe(model)
        for name in model.ranges.__struct_fields__:
            grid = getattr(model.ranges, name)
            rows = [line for line in text.splitlines() if line.startswith(f"{name} ")]
            assert [row.split()[1:4] for row in rows] == [[str(s.minimum), str(s.maximum), str(s.step)] for s in grid.segments]
            assert all(row.endswith(grid.source) for row in rows)

    def test_what_is_unverified_is_marked_as_such_and_nothing_else_is(self, model) -> None:
        text = describe(model)
        unverified = {
            f"{section}.{name}"
            for section in ("timing", "impedance", "output", "battery", "electrode", "safety")
            for name in getattr(model, section).__struct_fields__[:-3]
            if getattr(model, section).origin(name).confidence == "unverified"
        }
        unverified |= {
            name for name in model.ranges.__struct_fields__ if getattr(model.ranges, name).confidence == "unverified"
        }
        unverified |= {f"leads[{n}].contact_areas_square_millimetres" for n in range(len(model.leads))}
        assert {line.split()[0] for line in text.splitlines() if " UNVERIFIED " in line} == unverified
        assert "  unverified  " not in text
