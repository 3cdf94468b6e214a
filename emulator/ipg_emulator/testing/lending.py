"""Lends devices to a test, and takes them back however it ends."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING

from ipg_emulator.testing.ipg import Ipg, in_process, own_process
from ipg_emulator.testing.nursery import Nursery, NurseryError
from ipg_emulator.testing.wanted import IN_PROCESS, Wanted

if TYPE_CHECKING:
    from ipg_emulator.testing.target import Target


class CannotLend(Exception):
    """The device that a test wants cannot be had; the text says why, and what can be."""


def lend(wanted: Wanted, ending: ExitStack, nursery: Callable[[], Nursery], target: Target | None = None) -> list[Ipg]:
    """The devices that are wanted, or the one at `target` in their place; `ending` takes them back.

    Raises:
        CannotLend: a model or a fault that there is not, a process that did not come up, a target that does not answer.
    """
    fleet: list[Ipg] = []
    for number in range(wanted.devices):
        try:
            fleet.append(_one(wanted, number, nursery, target))
        except (ValueError, OSError, NurseryError) as error:
            raise CannotLend(str(error)) from error
        ending.callback(fleet[-1].close)
    return fleet


def _one(wanted: Wanted, number: int, nursery: Callable[[], Nursery], target: Target | None) -> Ipg:
    if target is not None:
        return target.lend(wanted)
    if wanted.transport == IN_PROCESS:
        return in_process(wanted, number)
    return own_process(wanted, number, nursery())
