"""Provenance: each figure of the catalogue says where it comes from, and what nobody has read is passed off as read nowhere."""

from __future__ import annotations

import re
from pathlib import Path

import ipg_emulator.model
import pytest
from ipg_emulator.catalogue import Fact, facts
from ipg_emulator.model import Confidence, DeviceModel, ModelError, Provenance, load, names, parse

SOURCES_READ = (
    "Axium Clinical Manual, PMA P150004",
    "Vercise DBS Programming Manual 91053785-17, p. 20",
    "Eterna 32400 clinician manual, App. C",
    "gammaCore Sapphire CV instructions for use, p. 25",
    "Nevro EXTS3000 product information",
    "VNS Programming Software 8.1 manual, p. 19 and 40",
    "OpenNerve Gen2, ",
    "510(k) K203547, K232415 (Nalu)",
    "510(k) K223306, K170902, K161154 (SPRINT)",
    "review of TENS 2017, table 1, and Promed EMT-4 manual, p. 41",
    "Osenbach 2006, motor cortex stimulation (Medscape 554867_10)",
    "PMC8229652, review of 10 kHz SCS",
    "PMC11041592 and PMC8742908 (Evoke trial)",
    "PMC5007190, review of tDCS safety",
    "Cogan 2008, as quoted by the neurostim-safety README",
    "Cogan 2016, PMC5386002",
)
"""Documents of which at least the passage that is cited was read."""

NEVER_READ = re.compile(
    "Intellis|Inceptiv|Vanta|Percept|Activa|Infinity|WaveWriter|Senza|Omnia|SenTiva|Demipulse|StimRouter|Proclaim|ISO 14708",
    re.I,
)
"""Devices and standards of which nothing was read."""

GENERAL_KNOWLEDGE = {
    "dbs-primary": ("amplitude_microamps", "pulse_width_us", "rate_millihertz", "ramp_seconds"),
    "pns-battery-free": ("amplitude_microamps", "pulse_width_us", "rate_millihertz"),
    "pns-percutaneous": ("amplitude_microamps", "pulse_width_us", "rate_millihertz"),
    "scs-10khz": ("amplitude_microamps", "pulse_width_us"),
    "scs-burst": ("amplitude_microamps", "pulse_width_us", "rate_millihertz", "intra_burst_millihertz"),
    "scs-closed-loop": ("pulse_width_us", "rate_millihertz"),
    "scs-rechargeable": ("amplitude_microamps", "pulse_width_us"),
    "scs-trial": ("amplitude_microamps", "pulse_width_us"),
    "tdcs": ("ramp_seconds",),
    "tms": ("amplitude_microamps", "pulse_width_us", "rate_millihertz", "burst_pulses", "intra_burst_millihertz"),
    "vns-implanted": (
        "amplitude_microamps",
        "pulse_width_us",
        "rate_millihertz",
        "ramp_seconds",
        "cycle_on_seconds",
        "cycle_off_seconds",
        "dose_seconds",
    ),
}
"""Ranges of devices whose manuals were not read."""

MODELS = [load(name) for name in names()]
SCS_TEXT = (Path(ipg_emulator.model.__file__).parent.parent / "models" / "scs-rechargeable.toml").read_text()


def all_facts(model: DeviceModel) -> list[Fact]:
    """Every range, figure and program."""
    programs = [Fact(program.name, "", Provenance(program.source, program.confidence)) for program in model.programs]
    return [*facts(model), *programs]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
class TestProvenance:
    def test_each_figure_names_a_source(self, model: DeviceModel) -> None:
        assert [fact.name for fact in all_facts(model) if len(fact.origin.source.split()) < 2] == []

    def test_what_is_read_or_computed_cites_a_document_that_was_read(self, model: DeviceModel) -> None:
        claimed = [fact for fact in all_facts(model) if fact.origin.confidence in (Confidence.READ, Confidence.COMPUTED)]
        assert [fact for fact in claimed if not any(source in fact.origin.source for source in SOURCES_READ)] == []
        assert [fact for fact in claimed if NEVER_READ.search(fact.origin.source)] == []

    def test_what_is_our_own_choice_says_so(self, model: DeviceModel) -> None:
        chosen = [fact for fact in all_facts(model) if fact.origin.confidence is Confidence.DESIGN]
        assert [fact for fact in chosen if not fact.origin.source.startswith(("our design", "a device without"))] == []

    def test_general_knowledge_is_unverified_and_nothing_else_is(self, model: DeviceModel) -> None:
        for fact in all_facts(model):
            is_general = fact.origin.source.startswith("general knowledge")
            assert is_general == (fact.origin.confidence is Confidence.UNVERIFIED), fact

    def test_ranges_of_devices_whose_manuals_were_not_read_are_unverified(self, model: DeviceModel) -> None:
        for name in GENERAL_KNOWLEDGE.get(model.name, ()):
            assert getattr(model.ranges, name).confidence is Confidence.UNVERIFIED

    def test_a_figure_that_has_a_provenance_of_its_own_stands_in_its_table(self, model: DeviceModel) -> None:
        told = {fact.name.rpartition(".")[2].partition("[")[0] for fact in facts(model)}
        assert set(model.output.provenance) | set(model.battery.provenance) | set(model.provenance) <= told


def tables(text: str) -> list[str]:
    """The parts of a model file that each begin with a head in brackets."""
    return re.split(r"(?=^\[)", text, flags=re.MULTILINE)


HEADS = ["[ranges.", "[limits.", "[[waveforms]]", "[[leads]]", "[timing]", "[impedance]", "[output]", "[battery]", "[charging]"]
HEADS += ["[electrode]", "[safety]", "[magnet]", "[mri]", "[[programs]]"]


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("key", ["source", "confidence"])
def test_a_range_or_figure_without_provenance_is_refused(head: str, key: str) -> None:
    parts = tables(SCS_TEXT)
    place = next(place for place, part in enumerate(parts) if part.startswith(head))
    parts[place] = re.sub(rf"^{key} = .*\n", "", parts[place], count=1, flags=re.MULTILINE)
    assert "".join(parts) != SCS_TEXT
    with pytest.raises(ModelError, match=f"Object missing required field {key}"):
        parse("".join(parts), "bare.toml")
