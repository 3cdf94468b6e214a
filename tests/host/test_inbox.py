"""Event numbers: each once, gaps passed in the end and told, over sessions and boots."""

from __future__ import annotations

import logging

import pytest
from ipg_host.inbox import EVENTS_KEPT, GAP_PATIENCE_US, Inbox


@pytest.fixture(autouse=True)
def _warnings(caplog):
    caplog.set_level(logging.WARNING, logger="ipg_host")


@pytest.fixture
def inbox() -> Inbox:
    """One that begins behind event 10, in boot 3."""
    begun = Inbox()
    begun.begin(10, 3, 0)
    return begun


def test_the_first_session_begins_behind_what_was_acknowledged_and_misses_nothing(inbox):
    assert (inbox.highest, inbox.missed) == (10, 0)
    assert [inbox.accept(number, 0) for number in (10, 11)] == [False, True]


def test_an_event_that_came_before_the_session_is_not_counted_twice():
    inbox = Inbox()
    inbox.accept(11, 0)
    inbox.begin(10, 3, 0)
    assert inbox.highest == 11
    assert not inbox.accept(11, 0)


def test_a_gap_that_is_passed_is_counted_and_told(inbox, caplog):
    for number in (11, 13, 15):
        inbox.accept(number, 0)
    assert inbox.wake(GAP_PATIENCE_US)
    assert (inbox.highest, inbox.missed) == (13, 1)
    assert "1 of the events 12 to 12 were missed" in caplog.text
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_the_gap_before_the_first_event_of_a_device_is_nothing_missed():
    inbox = Inbox()
    inbox.accept(5000, 0)
    inbox.wake(GAP_PATIENCE_US)
    assert (inbox.highest, inbox.missed) == (5000, 0)


def test_what_another_host_acknowledged_in_between_is_missed(inbox):
    inbox.accept(12, 0)
    inbox.begin(13, 3, 0)
    assert (inbox.highest, inbox.missed) == (13, 2)


def test_an_acknowledgement_that_a_reset_took_away_delivers_nothing_twice(inbox):
    inbox.accept(11, 0)
    inbox.begin(10, 4, 0)
    assert (inbox.highest, inbox.accept(11, 0)) == (11, False)


def test_a_device_whose_boots_count_from_the_start_again_is_followed(inbox, caplog):
    inbox.begin(2, 1, 0)
    assert (inbox.highest, inbox.missed) == (2, 0)
    assert inbox.accept(3, 0)
    assert "counts its events anew" in caplog.text


@pytest.mark.parametrize(("boot_counter", "highest"), [(4, 3), (3, 3 + EVENTS_KEPT + 1)], ids=["a new boot", "the same boot"])
def test_a_device_that_lags_by_more_than_it_keeps_has_lost_its_memory_if_it_has_booted(boot_counter, highest):
    inbox = Inbox()
    inbox.begin(3 + EVENTS_KEPT + 1, 3, 0)
    inbox.begin(3, boot_counter, 0)
    assert inbox.highest == highest
