"""The file of `ipg-emulator run --fleet`: a TOML table for each device, or for each kind of which there are several.

Paths in it are relative to the folder that it lies in.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec

from ipg_emulator.argument_types import (
    HIGHEST_BAUD,
    HIGHEST_PORT,
    HIGHEST_SPEED,
    LARGEST_FLEET,
    LOWEST_BAUD,
    LOWEST_SPEED,
    SPEED_WORDS,
)
from ipg_emulator.faults.lead import LeadFaultError, check_lead_faults
from ipg_emulator.faults.plan import FaultError, FaultPlan, load_plan, plan_from
from ipg_emulator.fleet import numbered
from ipg_emulator.launch import LIVE_TRACE, NewDevice, Wanted
from ipg_emulator.model import DeviceModel, ModelError, load
from ipg_emulator.ports import PortError
from ipg_emulator.snapshot import Snapshot, SnapshotError, read
from ipg_emulator.toml_file import read_toml

if TYPE_CHECKING:
    from collections.abc import Mapping

Path = Annotated[str, msgspec.Meta(min_length=1, pattern=r"^[^\x00]*$")]
TcpPort = Annotated[int, msgspec.Meta(ge=0, le=HIGHEST_PORT)]
Table = dict[str, Any]

_TABLES = "devices"
_PORTS = ("link", "tcp", "rfc2217")
_OF_NEW_DEVICES = ("seed", "lead_faults", "nvm", "defects")


_FIELD_OF: dict[type[Exception], str] = {
    ModelError: "model",
    LeadFaultError: "lead_faults",
    FaultError: "faults",
    SnapshotError: "snapshot",
    PortError: "count",
}
"""Which field is to blame."""


class FleetError(ValueError):
    """A fleet's file cannot be used: the text names the file, the device and the field, and says what would be right."""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A table of the file. The devices of a `count` get numbers in their paths and ports, and seeds one after another."""

    model: Path | None = None
    snapshot: Path | None = None
    seed: int = 0
    count: Annotated[int, msgspec.Meta(ge=1, le=LARGEST_FLEET)] = 1
    link: Path | None = None
    tcp: TcpPort | None = None
    rfc2217: TcpPort | None = None
    pace: Annotated[int, msgspec.Meta(ge=LOWEST_BAUD, le=HIGHEST_BAUD)] | None = None
    speed: Annotated[float, msgspec.Meta(ge=LOWEST_SPEED, le=HIGHEST_SPEED)] | Literal["max", "manual"] = 1.0
    lead_faults: dict[int, str] = {}
    defects: list[str] = []
    faults: Path | list[Table] | None = None
    """The path of a plan, or the tables of one."""
    nvm: Path | None = None
    record: Path | None = None
    trace: Path | bool = False
    """The path of a file, or `true`: to standard error."""


def read_fleet(path: str) -> list[Wanted]:
    """The devices of a file, in their order.

    Raises:
        FleetError: it cannot be read, or one of them cannot be had.
    """
    data = read_toml(path, FleetError)
    try:
        wanted = list(_fleet(data, os.path.dirname(path)))
    except FleetError as error:
        raise FleetError(f"{path}: {error}") from None
    return wanted


def _fleet(data: Table, folder: str) -> Iterator[Wanted]:
    _check_keys(data, (_TABLES,))
    tables = data.get(_TABLES)
    if not isinstance(tables, list) or not tables:
        raise FleetError(f"it has no table under [[{_TABLES}]], and each device needs one")
    owners: dict[tuple[str, object], int] = {}
    for number, table in enumerate(tables, 1):  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
        try:
            for wanted in _devices(table, folder):
                _claim(wanted, number, owners)
                yield wanted
        except FleetError as error:
            raise FleetError(f"device {number}: {error}") from None
        except tuple(_FIELD_OF) as error:
            field = next(field for kind, field in _FIELD_OF.items() if isinstance(error, kind))
            raise FleetError(f"device {number}: {field}: {error}") from None


def _devices(table: Any, folder: str) -> list[Wanted]:
    """The devices of one table."""
    entry = _entry(table)
    speed = SPEED_WORDS[entry.speed] if isinstance(entry.speed, str) else entry.speed
    trace = LIVE_TRACE if entry.trace is True else _place(folder, entry.trace or None)
    first = Wanted(
        device=_device(entry, folder),
        link=_place(folder, entry.link),
        tcp=entry.tcp,
        rfc2217=entry.rfc2217,
        pace=entry.pace,
        speed=speed,
        faults=_plan(entry.faults, folder),
        record=_place(folder, entry.record),
        trace=trace,
    )
    return numbered(first, entry.count) if entry.count > 1 else [first]


def _entry(table: Any) -> Entry:
    if not isinstance(table, dict):
        raise FleetError(f"expected a table, got {table!r}")
    _check_keys(table, Entry.__struct_fields__)  # pyright: ignore[reportUnknownArgumentType]
    try:
        entry = msgspec.convert(table, Entry, str_keys=True)
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at ")
        field = where.rpartition("$.")[2].removesuffix("`")
        allowed = f"; allowed: a number, {', '.join(SPEED_WORDS)}" if field == "speed" else ""
        raise FleetError(f"{field}: {what[:1].lower()}{what[1:]}{allowed}") from None
    _check_together(entry, table)  # pyright: ignore[reportUnknownArgumentType]
    return entry


def _check_keys(table: Mapping[str, Any], known: tuple[str, ...]) -> None:
    unknown = [name for name in table if name not in known]
    if unknown:
        raise FleetError(f"unknown field {', '.join(map(repr, unknown))}; known: {', '.join(known)}")


def _check_together(entry: Entry, given: Mapping[str, Any]) -> None:
    """Refuse fields that say two things about one."""
    if (entry.model is None) == (entry.snapshot is None):
        raise FleetError("model: give it, or in its place the snapshot to go on from; one of the two")
    ports = [name for name in _PORTS if name in given]
    if len(ports) > 1:
        raise FleetError(f"{ports[1]}: it has {ports[0]} already; give one of {', '.join(_PORTS)}, or none for a PTY")
    of_new = [name for name in _OF_NEW_DEVICES if name in given]
    if entry.snapshot is not None and of_new:
        raise FleetError(f"{of_new[0]}: the snapshot says that; leave it out, or give a model in place of the snapshot")


def _device(entry: Entry, folder: str) -> NewDevice | Snapshot:
    if entry.snapshot is not None:
        return read(os.path.join(folder, entry.snapshot))
    assert entry.model is not None
    model: DeviceModel = load(os.path.join(folder, entry.model) if entry.model.endswith(".toml") else entry.model)
    check_lead_faults(entry.lead_faults, model)
    _check_defects(entry.defects)
    nvm = _place(folder, entry.nvm)
    return NewDevice(model=model, seed=entry.seed, lead_faults=entry.lead_faults, nvm=nvm, defects=tuple(entry.defects))


def _check_defects(names: list[str]) -> None:
    from ipg_emulator.factory import alterations

    try:
        alterations(names)
    except FaultError as error:
        raise FleetError(f"defects: {error}") from None


def _plan(faults: str | list[Table] | None, folder: str) -> FaultPlan | None:
    if faults is None:
        return None
    return load_plan(os.path.join(folder, faults)) if isinstance(faults, str) else plan_from({"faults": faults})


def _place(folder: str, path: str | None) -> str | None:
    return None if path is None else os.path.join(folder, path)


def _claim(wanted: Wanted, number: int, owners: dict[tuple[str, object], int]) -> None:
    """Refuse what another device has already."""
    device = wanted.device
    claims = {"link": wanted.link, "tcp": wanted.tcp, "rfc2217": wanted.rfc2217, "record": wanted.record}
    claims["nvm"] = device.nvm if isinstance(device, NewDevice) else None
    claims["trace"] = None if wanted.trace == LIVE_TRACE else wanted.trace
    for field, value in claims.items():
        key = ("port", value) if isinstance(value, int) else ("path", value and os.path.abspath(value))
        if value and key in owners:
            raise FleetError(f"{field}: device {owners[key]} has {value} already; each needs its own")
        owners[key] = number
