"""The file of what was delivered: one JSON object a line, each a `Segment` of output that is over or was replaced."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator

import msgspec

from ipg_emulator.board import Segment


class SegmentFile:
    """Appends segments to a file; what is written is in the file at once."""

    def __init__(self, path: str) -> None:
        """Begin the file anew.

        Raises:
            OSError: it cannot be written.
        """
        self._path = path
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)

    def __call__(self, segment: Segment) -> None:
        """Write one segment.

        Raises:
            OSError: the disk is full, or the file is gone.
        """
        line = msgspec.json.encode(segment) + b"\n"
        try:
            written = os.write(self._descriptor, line)
        except OSError as error:
            raise OSError(error.errno, error.strerror, self._path) from None
        if written < len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), self._path)


def read_segments(path: str) -> Iterator[Segment]:
    """The segments of a file, in the order in which they were over.

    Raises:
        OSError: it cannot be read.
        msgspec.DecodeError: a line is not a segment.
    """
    decoder = msgspec.json.Decoder(Segment)
    with open(path, "rb") as file:
        yield from (decoder.decode(line) for line in file)
