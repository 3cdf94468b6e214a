"""A whole device at one moment, from which it can go on any number of times: kept in memory, or in a file.

All that decides what the device does next is in it: firmware, flash, board, patient, generators, faults and what is on the
line. Whoever only looks on is not: watchers, observers, records of what is delivered.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import sys
from contextlib import suppress
from typing import Any, cast

import msgspec

from ipg_emulator.model import DeviceModel
from ipg_emulator.pickling import Buffer, Callbacks, ForeignState, StatePickler, StateUnpickler
from ipg_emulator.virtual import VirtualIpg

FORMAT = 1
LONGEST_HEAD = 1000
"""In bytes: a file without a line that ends by then is none of ours, and may have no end."""


class SnapshotError(ValueError):
    """A snapshot cannot be used; the text says why, and what to do."""


class Snapshot(msgspec.Struct, frozen=True):
    """A device as it was at `at_us` of its time. Nothing that happens to a device changes it."""

    model: DeviceModel
    serial: str
    at_us: int
    state: bytes
    flashes: tuple[bytes, ...]
    from_file: bool = False
    """Whether it was read from a file, and so is looked through before anything in it is believed."""

    @property
    def model_name(self) -> str:
        return self.model.name

    def write(self, path: str) -> None:
        """Keep it in a file, which is replaced as a whole; what is no file, such as a pipe, is written to.

        Raises:
            OSError: it cannot be written.
        """
        target = os.path.realpath(path)
        is_file = os.path.isfile(target) or not os.path.exists(target)
        unfinished = f"{target}.{os.getpid()}" if is_file else target
        try:
            with open(unfinished, "wb") as file:
                file.write(self.file_content())
            if is_file:
                os.replace(unfinished, target)
        except OSError as error:
            if is_file:
                with suppress(OSError):
                    os.unlink(unfinished)
            raise OSError(error.errno, error.strerror, path) from None

    def file_content(self) -> bytes:
        """What a file of it holds."""
        body = msgspec.msgpack.encode(self)
        return msgspec.json.encode(_head_of(body)) + b"\n" + body


class Head(msgspec.Struct, frozen=True):
    """The first line of a file, in JSON: who has written it, and what must follow."""

    snapshot: int
    version: str
    python: str
    bytes: int
    sha256: str


def read(path: str) -> Snapshot:
    """The snapshot in a file. Only what a device is made of can come out of it: a guard against accidents, not against harm.

    Raises:
        SnapshotError: it cannot be read, is no whole snapshot, or one of another version of this program or of Python.
    """
    try:
        with open(path, "rb") as file:
            head = msgspec.json.decode(file.readline(LONGEST_HEAD), type=Head)
            body = file.read()
    except OSError as error:
        raise SnapshotError(f"{path}: {error.strerror}") from None
    except msgspec.DecodeError:
        raise SnapshotError(f"{path}: it is not a snapshot, as `Snapshot.write` makes one") from None
    _check(head, _head_of(body), path)
    try:
        return msgspec.structs.replace(msgspec.msgpack.decode(body, type=Snapshot), from_file=True)
    except msgspec.DecodeError as error:
        raise SnapshotError(f"{path}: it holds no device: {error}") from None


def _head_of(body: bytes) -> Head:
    from importlib.metadata import version

    python = f"{sys.implementation.name} {sys.version_info.major}.{sys.version_info.minor}"
    return Head(FORMAT, version("virtual-ipg"), python, len(body), hashlib.sha256(body).hexdigest())


def _check(head: Head, expected: Head, path: str) -> None:
    """Refuse a file whose head is not what this program would write before what follows it."""
    if (head.snapshot, head.version) != (expected.snapshot, expected.version):
        wrote = f"virtual-ipg {head.version} (format {head.snapshot}) wrote it"
        here = f"this is {expected.version} (format {expected.snapshot})"
        raise SnapshotError(f"{path}: {wrote}, and {here}: take it anew, or run it with the version that wrote it")
    if head.python != expected.python:
        raise SnapshotError(f"{path}: it was written under {head.python}, and this is {expected.python}: take it anew")
    if head.bytes != expected.bytes:
        raise SnapshotError(f"{path}: it is not whole: {expected.bytes} bytes follow its first line, not {head.bytes}")
    if head.sha256 != expected.sha256:
        raise SnapshotError(f"{path}: it was altered after it was written: its SHA-256 is wrong")


def take(ipg: VirtualIpg, now: int) -> Snapshot:
    """The device as it is at `now` microseconds, up to which it must have been woken.

    Raises:
        SnapshotError: something in the device, such as a fault of the caller's own, cannot be pickled.
    """
    try:
        pickler = StatePickler(ipg)
    except (pickle.PicklingError, TypeError, AttributeError) as error:
        raise SnapshotError(f"the device cannot be kept: {error}") from error
    flashes = tuple(map(bytes, pickler.buffers))
    return Snapshot(ipg.firmware.model, ipg.firmware.serial, now, pickler.written, flashes)


def fork(snapshot: Snapshot) -> tuple[VirtualIpg, int]:
    """A new device that goes on from a snapshot, with nobody looking on, and its time in microseconds.

    Raises:
        SnapshotError: what it holds is no device.
    """
    ipg = VirtualIpg.__new__(VirtualIpg)
    vars(ipg).update(_state(snapshot, ipg, [bytearray(stored) for stored in snapshot.flashes], {}))
    return ipg, snapshot.at_us


def put_back(snapshot: Snapshot, ipg: VirtualIpg) -> int:
    """Let a device go on from a snapshot of its own. Whoever looks on stays, and so does the file of its flash.

    Returns:
        Its time in microseconds.

    Raises:
        SnapshotError: it is of another device, or what it holds is none; nothing has changed.
    """
    model, serial = ipg.firmware.model, ipg.firmware.serial
    if (snapshot.model_name, snapshot.serial) != (model.name, serial):
        whose = f"it is of {snapshot.model_name} {snapshot.serial}, and this is {model.name} {serial}"
        raise SnapshotError(f"the snapshot cannot be restored here: {whose}; start a device from it instead")
    there = StatePickler(ipg)
    state = _state(snapshot, ipg, there.buffers, there.onlookers)
    for buffer, stored in zip(there.buffers, snapshot.flashes, strict=True):
        buffer[: len(stored)] = stored
    vars(ipg).update(state)
    return snapshot.at_us


def _state(snapshot: Snapshot, ipg: VirtualIpg, buffers: list[Buffer], onlookers: dict[str, Callbacks]) -> dict[str, Any]:
    """What a device consists of, to be put into `ipg`."""
    unpickler = StateUnpickler(snapshot.state, ipg, snapshot.model, buffers, onlookers, only_ours=snapshot.from_file)
    try:
        return cast("dict[str, Any]", unpickler.load())
    except ForeignState as error:
        raise SnapshotError(f"the snapshot holds {error}, which is no part of a device of virtual-ipg") from None
    except Exception as error:  # whatever bytes that are no pickle make of it
        raise SnapshotError(f"the snapshot holds no device: {error}") from error
