"""Predicates: what must be true of a device's capabilities for a case to mean anything, in words and as a function of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ipg_protocol import COMMAND_OF, Message
from ipg_protocol.commands.link import Capability
from ipg_protocol.commands.programs import Waveform

from ipg_conformance.capabilities import Capabilities


@dataclass(frozen=True)
class Predicate:
    """What a case asks of the device."""

    words: str
    holds: Callable[[Capabilities], bool]


def has_commands(*requests: type[Message]) -> Predicate:
    """The device names all these commands."""
    names = ", ".join(COMMAND_OF[request].name for request in requests)
    return Predicate(f"the device has {names}", lambda capabilities: capabilities.supports(*requests))


def has_waveform(waveform: Waveform) -> Predicate:
    """The device makes pulses of this form."""
    return Predicate(f"the device has {waveform.name}", lambda capabilities: waveform in capabilities.waveforms)


def is_not_zero(capability: Capability) -> Predicate:
    """A capability of one row is not 0, which stands for the lack of it."""
    return Predicate(f"{capability.name} is not 0", lambda capabilities: capabilities.limit(capability) != 0)


def is_at_least(capability: Capability, least: int) -> Predicate:
    """A capability of one row is so large or larger."""
    return Predicate(f"{capability.name} is at least {least}", lambda capabilities: capabilities.limit(capability) >= least)
