"""What a test asks of its device by `@pytest.mark.ipg(…)`. Read while tests are collected, so nothing heavy is imported."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from ipg_emulator.argument_types import HIGHEST_SPEED, LOWEST_SPEED

if TYPE_CHECKING:
    from os import PathLike

    from ipg_emulator.faults.fault import Fault

FaultsWanted: TypeAlias = "str | PathLike[str] | Sequence[Fault | Mapping[str, Any]]"
IN_PROCESS = "in-process"
TRANSPORTS = (IN_PROCESS, "pty", "tcp", "rfc2217")
TIMES = ("real", "paced", "manual")
TEST_VID, TEST_PID = 0x1209, 0x0001
"""pid.codes' own number, for tests in private only (https://pid.codes/1209/0001/): no product has it."""
HIGHEST_USB_NUMBER = 0xFFFF


class MarkerError(ValueError):
    """A marker asks for what there is not; the text says what, and what there is."""


@dataclass(frozen=True)
class Wanted:
    """The device that a test wants; every field but the last is an argument of the marker."""

    model: str = "scs-rechargeable"
    seed: int = 0
    faults: FaultsWanted | None = None
    """The path of a fault plan, or faults, each as an object or as a table of a plan; they are there from the start."""
    defects: Sequence[str] = ()
    """What is wrong with its firmware, by the names that `ipg-emulator defects` prints."""
    time: str | float | None = None
    """One of TIMES, or in a process of its own a factor of real time. None: paced in this process, else real."""
    transport: str = IN_PROCESS
    devices: int = 1
    """How many, with the seeds seed, seed + 1 …"""
    vid: int = TEST_VID
    pid: int = TEST_PID
    """How a search of the serial ports finds the devices; see `testing.comports`."""
    given: frozenset[str] = frozenset()
    """Which of these the test has asked for."""

    @property
    def pace(self) -> str | float:
        """How the device's time passes."""
        return self.time if self.time is not None else "paced" if self.transport == IN_PROCESS else "real"

    def marker(self, number: int = 0) -> str:
        """The marker that asks for the device of this number again, alone."""
        arguments = {"model": self.model, "seed": self.seed + number}
        arguments |= {name: getattr(self, name) for name in _MAY_BE if name in self.given - {"model", "seed", "devices"}}
        words = (f"{name}={value!r}" for name, value in arguments.items())
        return f"@pytest.mark.ipg({', '.join(words)})"


def _is_plan(value: Any) -> bool:
    return value is None or isinstance(value, str | list | tuple) or hasattr(value, "__fspath__")


def _are_names(value: Any) -> bool:
    names = cast("Sequence[object]", value) if isinstance(value, list | tuple) else None
    return names is not None and all(isinstance(name, str) for name in names)


def _is_time(value: Any) -> bool:
    return (
        value is None
        or value in TIMES
        or (isinstance(value, int | float) and value is not True and LOWEST_SPEED <= value <= HIGHEST_SPEED)
    )


def _is_whole_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_usb_number(value: Any) -> bool:
    return _is_whole_number(value) and 0 <= value <= HIGHEST_USB_NUMBER


_MAY_BE: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "model": ("the name of a model, or the path of a model file", lambda value: isinstance(value, str)),
    "seed": ("a whole number", _is_whole_number),
    "faults": ("the path of a fault plan, or a list of faults", _is_plan),
    "defects": ("a list of names; `ipg-emulator defects` prints them", _are_names),
    "time": (f"{', '.join(TIMES)} or a factor of real time from {LOWEST_SPEED} to {HIGHEST_SPEED}", _is_time),
    "transport": (" or ".join(TRANSPORTS), lambda value: value in TRANSPORTS),
    "devices": ("a whole number from 1", lambda value: _is_whole_number(value) and value >= 1),
    "vid": ("a number from 0 to 0xFFFF", _is_usb_number),
    "pid": ("a number from 0 to 0xFFFF", _is_usb_number),
}
"""What each argument may be, in words and as a check."""


def wanted(marks: Iterable[tuple[tuple[Any, ...], Mapping[str, Any]]]) -> Wanted:
    """What markers ask for, each given by its arguments, the closest first; what a closer one says holds.

    Raises:
        MarkerError: an argument that there is not, or that cannot be so.
    """
    asked: dict[str, Any] = {}
    for positional, named in marks:
        if positional:
            raise MarkerError(f"ipg takes its arguments by name, not {positional[0]!r} alone; they are {', '.join(_MAY_BE)}")
        asked = {**named, **asked}
    for name, value in asked.items():
        if name not in _MAY_BE:
            raise MarkerError(f"ipg takes no argument {name!r}; there are {', '.join(_MAY_BE)}")
        words, holds = _MAY_BE[name]
        if not holds(value):
            raise MarkerError(f"ipg's {name} is {words}, not {value!r}")
    found = Wanted(**asked, given=frozenset(asked))
    if found.transport == IN_PROCESS and found.pace not in TIMES:
        raise MarkerError(
            f"ipg's time is {', '.join(TIMES)} in this process; a factor such as {found.time} needs transport='pty'"
        )
    return found
