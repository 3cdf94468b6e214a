"""Lead faults: an open contact reads open and carries nothing, a short one reads short, and the rest stays as it was."""

from __future__ import annotations

import pytest
from ipg_emulator.board.assembly import build_board
from ipg_emulator.faults import LEAD_FAULTS, LeadFaultError
from ipg_emulator.model import load, names
from ipg_protocol.commands.programs import ContactShare

MODELS = [model for model in map(load, names()) if len(model.contacts) > 6 and not model.is_magnetic]
SCS = load("scs-rechargeable")
PATTERN = (ContactShare(5, -1000), ContactShare(2, 1000))


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
class TestReadings:
    def test_an_open_contact_reads_open_as_cathode_and_as_anode(self, model) -> None:
        electrodes = build_board(model, seed=1, lead_faults={3: "open"}).electrodes
        for pair in [(3, 0), (0, 3)]:
            assert electrodes.measure(*pair, 0).ohms > model.impedance.open_above_ohms
            assert not electrodes.measure(*pair, 0).in_compliance

    def test_a_shorted_contact_reads_short_as_cathode_and_as_anode(self, model) -> None:
        electrodes = build_board(model, seed=1, lead_faults={5: "short"}).electrodes
        for pair in [(5, 0), (0, 5)]:
            assert electrodes.measure(*pair, 0).ohms < model.impedance.short_below_ohms

    def test_pairs_without_the_broken_contact_read_as_on_a_sound_device(self, model) -> None:
        sound = build_board(model, seed=1).electrodes
        broken = build_board(model, seed=1, lead_faults={3: "open", 5: "short"}).electrodes
        assert [broken.measure(c, 0, 0) for c in (1, 2, 4, 6)] == [sound.measure(c, 0, 0) for c in (1, 2, 4, 6)]

    def test_nothing_is_deliverable_through_an_open_contact(self, model) -> None:
        settings = model.programs[0].areas[0].settings(0)
        contact = settings.contacts[0].contact
        board = build_board(model, seed=1, lead_faults={contact: "open"})
        assert board.output.deliverable_microamps(settings, 0) == 0
        assert board.electrodes.load(settings.contacts, 0).limiting_contact == contact


def test_a_pattern_without_the_broken_contact_has_the_load_of_a_sound_device() -> None:
    pattern = (ContactShare(1, -1000), ContactShare(2, 1000))
    broken = build_board(SCS, seed=1, lead_faults={3: "open", 5: "short"}).electrodes
    assert broken.load(pattern, 0) == build_board(SCS, seed=1).electrodes.load(pattern, 0)


def test_a_shorted_contact_takes_the_load_down_to_the_short() -> None:
    assert build_board(SCS, seed=1, lead_faults={5: "short"}).electrodes.load(PATTERN, 0).ohms < 30


def test_a_breach_lowers_the_load_by_its_shunt() -> None:
    sound = build_board(SCS, seed=1).electrodes.load(PATTERN, 0).ohms
    broken = build_board(SCS, seed=1, lead_faults={5: "breach"}).electrodes.load(PATTERN, 0).ohms
    assert 1 / broken - 1 / sound == pytest.approx(1 / 200)


@pytest.mark.parametrize(
    ("faults", "problem"),
    [
        ({3: "bent"}, "lead fault 'bent' of contact 3 is none of open, short, breach, intermittent"),
        ({16: "open"}, "lead fault of contact 16: scs-rechargeable has contacts 0 to 15"),
        ({-1: "open"}, "lead fault of contact -1"),
    ],
)
def test_a_fault_that_cannot_be_names_what_can_and_breaks_nothing(faults: dict[int, str], problem: str) -> None:
    leads = build_board(SCS, seed=1).electrodes
    sound = leads.load(PATTERN, 0)
    with pytest.raises(LeadFaultError, match=problem):
        leads.break_contacts({5: "open"} | faults)
    assert leads.load(PATTERN, 0) == sound


@pytest.mark.parametrize("word", LEAD_FAULTS)
def test_a_mended_contact_is_as_it_was(word: str) -> None:
    board = build_board(SCS, seed=1)
    sound = board.electrodes.load(PATTERN, 0)
    board.electrodes.break_contacts({5: word, 2: "breach"})
    board.patient.take_posture("supine", 0)
    assert board.electrodes.load(PATTERN, 0) != sound
    board.electrodes.mend(5)
    board.electrodes.mend(2)
    assert board.electrodes.load(PATTERN, 0) == sound


def test_a_contact_has_one_fault_at_a_time() -> None:
    leads = build_board(SCS, seed=1).electrodes
    leads.break_contacts({5: "open"})
    leads.break_contacts({5: "short"})
    assert leads.load(PATTERN, 0).ohms < 30
