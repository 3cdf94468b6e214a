"""Catalogue and handlers must agree before a device starts."""

from __future__ import annotations

import pytest
from ipg_emulator.factory import build_device
from ipg_emulator.firmware.dispatch import HANDLERS, CatalogueMismatch
from ipg_emulator.model import load
from ipg_protocol.command import COMMAND_OF
from ipg_protocol.commands.link import Ping


def test_every_command_has_a_handler_and_every_handler_a_command():
    build_device(load("scs-rechargeable"))
    assert set(HANDLERS) == set(COMMAND_OF)


def test_a_missing_handler_stops_the_start(monkeypatch):
    monkeypatch.delitem(HANDLERS, Ping)
    with pytest.raises(CatalogueMismatch, match="no handler for PING"):
        build_device(load("scs-rechargeable"))
