"""Shows virtual devices to hosts that search for theirs: what `serial.tools.list_ports.comports()` finds is replaced."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from types import FunctionType
from typing import Any, NamedTuple, cast

from serial.tools import list_ports
from serial.tools.list_ports_common import ListPortInfo

from ipg_emulator.testing.wanted import TEST_PID, TEST_VID

MANUFACTURER = "Virtual IPG"

_SHOWN = "_shown_virtual_ports"


class Shown(NamedTuple):
    """A device as a search finds it."""

    port: str
    """What a program opens: a path, or a pyserial URL."""
    product: str
    serial_number: str


def _find(include_links: bool = False) -> list[Any]:  # noqa: ARG001 - pyserial's own signature
    return list(_shown_virtual_ports)  # type: ignore[name-defined] # noqa: F821 # pyright: ignore[reportUndefinedVariable, reportUnknownArgumentType, reportUnknownVariableType]


@contextmanager
def listed(ports: Sequence[Shown], *, vid: int = TEST_VID, pid: int = TEST_PID) -> Generator[list[Any]]:
    """Let a search find these devices on USB, and nothing else: no test is to meet what is really plugged in.

    The code of pyserial's function is exchanged, not its name: most programs import it as `from … import comports`.
    """
    infos = [_info(port, vid, pid) for port in ports]
    comports = cast("FunctionType", list_ports.comports)
    names, code = comports.__globals__, comports.__code__
    before = names.get(_SHOWN)
    names[_SHOWN], comports.__code__ = infos, _find.__code__
    try:
        yield infos
    finally:
        comports.__code__ = code
        names[_SHOWN] = before


def _info(shown: Shown, vid: int, pid: int) -> Any:
    info = ListPortInfo(shown.port, skip_link_detection=True)
    info.vid, info.pid = vid, pid
    info.manufacturer, info.product, info.serial_number = MANUFACTURER, shown.product, shown.serial_number
    info.apply_usb_info()
    return info
