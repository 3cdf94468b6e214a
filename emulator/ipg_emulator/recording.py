"""The record of what was delivered: one JSON object a line, each a `Drive` that is over or was replaced."""

from __future__ import annotations

import errno
import os

import msgspec

from ipg_emulator.board import Drive


class DriveFile:
    """Appends drives to a file; what is written is in the file at once."""

    def __init__(self, path: str) -> None:
        """Begin the file anew.

        Raises:
            OSError: it cannot be written.
        """
        self._path = path
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)

    def __call__(self, drive: Drive) -> None:
        """Write one drive.

        Raises:
            OSError: the disk is full, or the file is gone.
        """
        line = msgspec.json.encode(drive) + b"\n"
        try:
            written = os.write(self._descriptor, line)
        except OSError as error:
            raise OSError(error.errno, error.strerror, self._path) from None
        if written < len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), self._path)
