"""The device in this process, for any pyserial program: `serial.serial_for_url("ipg://MODEL?seed=1")`.

pyserial finds this module once a program has put `ipg_emulator.ports` on `serial.protocol_handler_packages`. Unless `time` says
otherwise, time is the device's own: it moves on only while `read` waits, and a wait costs no real time. `ipg://device/NAME`
reaches a device that is there already: see `in_process.offer`.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, parse_qsl, urlsplit

from serial import PortNotOpenError, SerialBase, SerialException

from ipg_emulator.factory import alterations, boot_finished_at, build_device
from ipg_emulator.faults.lead import LEAD_FAULTS
from ipg_emulator.firmware import Firmware
from ipg_emulator.model import load
from ipg_emulator.ports.in_process import InProcess, Passing, offered, offered_names
from ipg_emulator.surroundings import PresentSurroundings
from ipg_emulator.virtual import VirtualIpg

if TYPE_CHECKING:
    from ipg_emulator.snapshot import Snapshot

OFFERED = "device"
_OPTIONS = ("seed", *LEAD_FAULTS, "faults", "defect", "time")
_PASSING = {"virtual": Passing.PACED, **{passing.value: passing for passing in Passing}}


class Serial(SerialBase):  # type: ignore[misc] # pyserial is untyped
    """A virtual device behind pyserial's interface.

    `ipg` is the device, `firmware` what runs on it, `monotonic` the clock that reads go by, `surroundings` what happens round
    it, at the port's present time.
    """

    _port: str | None
    _timeout: float | None

    def open(self) -> None:
        """Power the device on, or reach the one that is offered.

        Raises:
            SerialException: the URL names no model or device, or an option that does not exist.
        """
        if self._port is None:
            raise SerialException("no URL was given; expected ipg://MODEL?seed=1")
        url = urlsplit(self._port)
        try:
            self.device = _offered(url) if url.netloc == OFFERED else _new(url)
        except ValueError as error:
            raise SerialException(f"{self._port}: {error}") from error
        self.device.clear()
        self.is_open = True

    def close(self) -> None:
        self.is_open = False

    # The device

    @property
    def ipg(self) -> VirtualIpg:
        return self.device.ipg

    @property
    def firmware(self) -> Firmware:
        return self.ipg.firmware

    @property
    def surroundings(self) -> PresentSurroundings:
        return self.device.surroundings

    @property
    def virtual(self) -> bool:
        """Whether time stands still but for `read`."""
        return self.device.passing is Passing.PACED

    @property
    def passes_by_itself(self) -> bool:
        """Whether time goes on without anybody's doing, so that to wait is enough."""
        return self.device.passes_by_itself

    def exclusively(self) -> AbstractContextManager[object]:
        """Keep all other threads from the device meanwhile."""
        return self.device.exclusively()

    def monotonic(self) -> float:
        """The clock that reads go by, in seconds: see `InProcess.monotonic`."""
        return self.device.monotonic()

    def present(self) -> int:
        """Bring the device up to the present, in microseconds of its time."""
        return self.device.present()

    def advance(self, seconds: float) -> None:
        """Let time pass, deadline by deadline: a year in one step gives what many small steps give."""
        self.device.advance(seconds)

    def snapshot(self) -> Snapshot:
        """The device as it is at the present."""
        return self.device.snapshot()

    def restore(self, snapshot: Snapshot) -> None:
        """Go on from a snapshot, at its time: see `InProcess.restore`."""
        self.device.restore(snapshot)

    # The port

    @property
    def in_waiting(self) -> int:
        self._check_open()
        return self.device.waiting

    def read(self, size: int = 1) -> bytes:
        """Up to `size` bytes; waits for them as long as the port's timeout.

        Raises:
            SerialException: without a timeout, when nothing comes for an hour.
        """
        self._check_open()
        try:
            return self.device.read(size, self._timeout)
        except TimeoutError as error:
            raise SerialException(str(error)) from error

    def write(self, b: Any, /) -> int:
        self._check_open()
        self.device.write(bytes(b))
        return len(b)

    def reset_input_buffer(self) -> None:
        self._check_open()
        self.device.clear()

    def reset_output_buffer(self) -> None:
        self._check_open()

    def flush(self) -> None:
        self._check_open()

    def _reconfigure_port(self) -> None:
        """Baud rate and the like change nothing."""

    def _check_open(self) -> None:
        if not self.is_open:
            raise PortNotOpenError


def _offered(url: SplitResult) -> InProcess:
    if url.query:
        raise ValueError("a device that is there already takes no options")
    name = url.path.removeprefix("/")
    try:
        return offered(name)
    except KeyError:
        known = ", ".join(offered_names()) or "none"
        raise ValueError(f"no device is offered as {name!r} in this process; there are: {known}") from None


def _options(query: str) -> dict[str, str]:
    given = parse_qsl(query)
    options = dict(given)
    if unknown := sorted(set(options) - set(_OPTIONS)):
        raise ValueError(f"unknown option {', '.join(unknown)}; known: {', '.join(_OPTIONS)}")
    if len(given) > len(options):
        raise ValueError("an option is given twice; several values stand behind one, with commas between")
    if not options.get("seed", "0").removeprefix("-").isdecimal():
        raise ValueError(f"seed is a whole number, not {options['seed']!r}")
    return options


def _new(url: SplitResult) -> InProcess:
    """Power a device on that is as the URL says."""
    options = _options(url.query)
    passing = options.get("time", Passing.PACED.value)
    if passing not in _PASSING:
        raise ValueError(f"time is one of {', '.join(_PASSING)}, not {passing}")
    model = load(url.netloc + url.path)
    lead_faults = {int(c): kind for kind in LEAD_FAULTS for c in options.get(kind, "").split(",") if c}
    seed, started_at = int(options.get("seed", "0")), boot_finished_at(model)
    altered_by = alterations(options["defect"].split(",") if "defect" in options else [])
    ipg = VirtualIpg(build_device(model, seed=seed, lead_faults=lead_faults, altered_by=altered_by))
    if "faults" in options:
        from ipg_emulator.faults.injector import Injector
        from ipg_emulator.faults.plan import load_plan

        ipg.faults = Injector(ipg, load_plan(options["faults"]), seed, now=started_at)
    return InProcess(ipg, started_at=started_at, passing=_PASSING[passing])
