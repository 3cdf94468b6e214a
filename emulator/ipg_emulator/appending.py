"""A file that is only ever added to: what is written is in it at once, as a whole or not at all, be the disk full."""

from __future__ import annotations

import errno
import os
from contextlib import suppress


class AppendedFile:
    """A file that has been begun anew."""

    def __init__(self, path: str) -> None:
        """Begin it.

        Raises:
            OSError: it cannot be written.
        """
        self._path = path
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)

    def write(self, data: bytes) -> None:
        """Add to it.

        Raises:
            OSError: the disk is full, or the file is gone.
        """
        try:
            written = os.write(self._descriptor, data)
        except OSError as error:
            raise OSError(error.errno, error.strerror, self._path) from None
        if written < len(data):
            with suppress(OSError):  # what is no regular file has no end to take back
                os.ftruncate(self._descriptor, os.lseek(self._descriptor, -written, os.SEEK_CUR))
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), self._path)
