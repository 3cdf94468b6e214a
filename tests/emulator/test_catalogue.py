"""The catalogue as text: nothing unverified passes for a fact, and no figure is left out."""

from __future__ import annotations

import msgspec
import pytest
from ipg_emulator.catalogue import LEGEND, describe, facts, summary, tally
from ipg_emulator.model import Confidence, Figures, load, names
from ipg_emulator.model.ranges import Figure, Range

MODELS = [load(name) for name in names()]


def cells(line: str) -> list[str]:
    return [cell for cell in line.split("  ") if cell]


def numbers(value: object) -> int:
    """How many ranges and figures stand somewhere in a model, counted without its own list of sections."""
    match value:
        case Range() | Figure():
            return 1
        case Figures():
            return sum(
                numbers(getattr(value, name)) for name in value.__struct_fields__ if name not in Figures.__struct_fields__
            )
        case msgspec.Struct():
            return sum(numbers(getattr(value, name)) for name in value.__struct_fields__)
        case tuple() if value and all(isinstance(part, Figures) for part in value):
            return sum(map(numbers, value))
        case _:
            return int(value is not None)


class TestSummary:
    LINES = summary().partition("\n\n")[0].splitlines()

    def test_it_has_a_line_for_each_model(self) -> None:
        assert [line.split()[0] for line in self.LINES[1:]] == names()

    @pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
    def test_a_line_tells_therapy_supply_and_how_much_is_known_how_well(self, model) -> None:
        head = cells(self.LINES[0])
        (line,) = [line for line in self.LINES if line.startswith(f"{model.name} ")]
        told = dict(zip([cell.strip() for cell in head], [cell.strip() for cell in cells(line)], strict=True))
        assert told["THERAPY"] == model.therapy
        assert told["SUPPLY"] == model.battery.supply
        assert {name: int(told[name]) for name in Confidence.__members__} == {c.name: n for c, n in tally(model).items()}

    def test_it_says_what_the_confidences_mean(self) -> None:
        assert summary().endswith(LEGEND)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
class TestDescription:
    def test_each_fact_is_shown_with_value_confidence_and_source(self, model) -> None:
        rows = [[cell.strip() for cell in cells(line)] for line in describe(model).splitlines()]
        for fact in facts(model):
            assert [fact.name, fact.value, fact.confidence, fact.origin.source] in rows

    def test_no_figure_of_the_model_is_left_out(self, model) -> None:
        beside_figures = ("name", "title", "therapy", "programs", "provenance", "source", "confidence")
        tables = {name: getattr(model, name) for name in model.__struct_fields__ if name not in beside_figures}
        names_of_waveforms = len(model.waveforms)
        rows_beyond_the_first = len(model.battery.open_circuit) - 1
        rows_beyond_the_first += max(0, len(model.magnet.gestures) - 1) if model.magnet else 0
        told = len(list(facts(model)))
        assert told == sum(map(numbers, tables.values())) - names_of_waveforms + rows_beyond_the_first

    def test_what_is_unverified_is_marked_as_such_and_nothing_else_is(self, model) -> None:
        unverified = [fact.name for fact in facts(model) if fact.origin.confidence is Confidence.UNVERIFIED]
        unverified += [p.name for p in model.programs for _ in p.areas if p.confidence is Confidence.UNVERIFIED]
        marked = [line for line in describe(model).removesuffix(LEGEND).splitlines() if " UNVERIFIED " in line]
        assert [cells(line)[0].strip() for line in marked] == unverified
        assert "  unverified  " not in describe(model)

    def test_the_settings_of_each_area_of_each_program_are_shown(self, model) -> None:
        text = describe(model)
        for program in model.programs:
            for area in program.areas:
                assert f"amplitude_microamps {area.amplitude_microamps}, pulse_width_us {area.pulse_width_us}" in text


def test_amplitudes_of_a_coil_are_said_to_be_permille() -> None:
    told = {model.name for model in MODELS if "amplitudes" in describe(model).split()}
    assert told == {"tms"}
