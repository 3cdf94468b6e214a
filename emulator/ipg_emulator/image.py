"""A device's flash in a file: the file is the flash, mapped into memory, so that a killed process loses nothing.

The file is made complete under another name and then put in place; while a device runs on it, it is locked.
"""

from __future__ import annotations

import errno
import mmap
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn

import msgspec

from ipg_emulator.board.flash import PAGE_BYTES, PAGE_COUNT, WEAR_BYTES, FlashMemory
from ipg_emulator.factory import check_programs, check_storage, seed_of
from ipg_emulator.firmware import Firmware, layout
from ipg_emulator.firmware.memory import ForeignMemory
from ipg_emulator.firmware.store import Recovery, Store
from ipg_emulator.model import ModelError

MARK = b"Virtual IPG NVM1"
"""Behind the flash, at the end of the file. Some of it may rot."""
MARK_BYTES_SURE = 8
IMAGE_BYTES = PAGE_COUNT * (PAGE_BYTES + WEAR_BYTES) + len(MARK)


class ImageError(Exception):
    """The file cannot be a device's flash: it is in use, it is something else, or the disk does not let it be."""


class Contents(msgspec.Struct, frozen=True):
    """What a flash holds, as far as it matters before the device is built; None where it holds no such thing."""

    recovery: Recovery
    identity: layout.Identity | None
    charge_permille: int | None


def open_image(path: str) -> FlashMemory:
    """The flash in a file, which is made if it is not there. It stays locked as long as the flash is referred to.

    Raises:
        ImageError: says what is wrong with the file, in one line.
    """
    try:
        descriptor = _open(path)
        try:
            return FlashMemory(mmap.mmap(descriptor, IMAGE_BYTES))
        finally:
            os.close(descriptor)  # the mapping has one of its own, and the lock with it
    except BlockingIOError:
        raise ImageError(f"--nvm {path}: a running device has it; stop that one or give another path") from None
    except OSError as error:
        raise ImageError(f"--nvm {path}: {error.strerror}") from None


def build_on_image(path: str, build: Callable[..., Firmware], tell: Callable[[str], None]) -> Firmware:
    """Build a device on the flash in a file, its cell as full as when it was last looked at.

    Args:
        path: Of the file.
        build: `build_device`, given all but the flash and the charge.
        tell: Is told what the device had to recover from.

    Raises:
        ImageError: the file cannot be this device's flash.
    """
    flash = open_image(path)
    found = contents(flash)
    try:
        firmware = build(flash=flash, charge_permille=1000 if found.charge_permille is None else found.charge_permille)
    except ForeignMemory as error:
        raise ImageError(f"--nvm {path}: {error}{_whose(found)}") from None
    check_storage(firmware.model, flash)
    try:
        check_programs(firmware.model, firmware.memory.configuration)
    except ModelError as error:
        raise ImageError(f"--nvm {path}: {error}. Was the model file another one when that was stored?") from None
    words = damage(found.recovery)
    if words:
        tell(f"--nvm {path}: {words}")
    return firmware


def contents(flash: FlashMemory) -> Contents:
    """What a flash holds. It is left as it is, damage and all, for the device to find and to log."""
    size = flash.page_count * flash.page_bytes
    copy = FlashMemory(page_count=flash.page_count, page_bytes=flash.page_bytes, unit_bytes=flash.unit_bytes)
    copy.tear(0, flash.read(0, size))
    store = Store(copy)
    identity = condition = None
    with suppress(KeyError, msgspec.MsgspecError):
        identity = layout.decode(layout.IDENTITY, store.values[layout.IDENTITY])
        condition = layout.decode(layout.CONDITION, store.values[layout.CONDITION])
    return Contents(store.recovery, identity, condition and condition.charge_permille)


def damage(found: Recovery) -> str | None:
    """What has happened to a flash, in words; None if nothing that matters."""
    if found.is_lost:
        return "nothing in it can be read; the device begins anew, as from the factory"
    if found.lost_records:
        return f"it is damaged: stored changes are lost, at least {found.lost_records}; all before them are there"
    if found.fell_back:
        return "half of it was unreadable; it was put together from the rest, and the last changes may be lost"
    if found.mended_bits:
        return "it was damaged and has been mended; nothing is lost"
    return None


def _whose(found: Contents) -> str:
    if found.identity is None:
        return ""
    return f"; run it as {found.identity.model} with --seed {seed_of(found.identity.serial)}, or give another path"


def _open(path: str) -> int:
    while True:
        try:
            return _open_existing(path)
        except FileNotFoundError:
            with suppress(FileExistsError):
                return _create(path)


def _open_existing(path: str) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        _check(descriptor, path)
        _lock(descriptor)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _lock(descriptor: int) -> None:
    import fcntl  # where there is none, devices run without images

    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _check(descriptor: int, path: str) -> None:
    """Refuse what is no image."""
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise ImageError(f"--nvm {path}: it is not a file; give the path of an image, or one that is free")
    if status.st_size != IMAGE_BYTES:
        _refuse(path, f"it has {status.st_size} bytes, and an image has {IMAGE_BYTES}")
    mark = os.pread(descriptor, len(MARK), IMAGE_BYTES - len(MARK))
    if sum(found == right for found, right in zip(mark, MARK, strict=True)) < MARK_BYTES_SURE:
        _refuse(path, f"it does not end with {MARK.decode()!r}")


def _refuse(path: str, reason: str) -> NoReturn:
    raise ImageError(f"--nvm {path}: it is not a whole image: {reason}. It stays as it is; give another path for a new device")


def _create(path: str) -> int:
    """Make a new image, complete before it has its name. What a killed process has left half made is taken over.

    Raises:
        FileExistsError: another process was faster.
    """
    folder, name = os.path.split(path)
    unfinished = os.path.join(folder, f".{name}.new")
    descriptor = os.open(unfinished, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        _lock(descriptor)
        if not os.path.exists(unfinished) or not os.path.samestat(os.fstat(descriptor), os.stat(unfinished)):
            raise FileExistsError(path)
        _fill(descriptor, unfinished, path)
        os.rename(unfinished, path)
        _sync_folder(folder or os.curdir)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _fill(descriptor: int, unfinished: str, path: str) -> None:
    """Write all of it, so that a full disk shows now and never later."""
    blank = bytes(IMAGE_BYTES - len(MARK)) + MARK
    try:
        if os.path.exists(path):
            raise FileExistsError(path)
        os.ftruncate(descriptor, 0)
        if os.write(descriptor, blank) < len(blank):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.fsync(descriptor)
    except OSError:
        os.unlink(unfinished)
        raise


def _sync_folder(folder: str) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
