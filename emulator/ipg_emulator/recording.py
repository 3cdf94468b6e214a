"""The file of what was delivered, in JSON lines: the model, then each `Segment` of output that is over or was replaced."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from ipg_emulator.appending import AppendedFile
from ipg_emulator.board import Segment


class Head(msgspec.Struct, frozen=True):
    """The first line: which model delivered."""

    model: str


class SegmentFile:
    """Appends segments to a file; what is written is in the file at once."""

    def __init__(self, path: str, model_name: str) -> None:
        """Begin the file anew.

        Raises:
            OSError: it cannot be written.
        """
        self._head = msgspec.json.encode(Head(model_name)) + b"\n"
        self._file = AppendedFile(path)

    def __call__(self, segment: Segment) -> None:
        """Write one segment.

        Raises:
            OSError: the disk is full, or the file is gone.
        """
        line, self._head = self._head + msgspec.json.encode(segment) + b"\n", b""
        self._file.write(line)


def read_segments(path: str, model_name: str) -> Iterator[Segment]:
    """The segments that a device of this model has written to a file, in the order in which they were over. An empty file is
    one of a device that has delivered nothing.

    Raises:
        OSError: it cannot be read.
        msgspec.DecodeError: a line is not what it should be, or another model has written the file.
    """
    decoder = msgspec.json.Decoder(Segment)
    with open(path, "rb") as file:
        first = file.readline()
        if not first:
            return
        written_by = msgspec.json.decode(first, type=Head).model
        if written_by != model_name:
            raise msgspec.DecodeError(f"{written_by} has written it, not {model_name}")
        yield from (decoder.decode(line) for line in file)
