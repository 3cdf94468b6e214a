"""The file beside a link that says how the device behind it is controlled: `PATH.control` beside `PATH`."""

from __future__ import annotations

import os
from contextlib import suppress

import msgspec

from ipg_emulator.control.token import write_for_owner


class Beside(msgspec.Struct, frozen=True):
    """The control channel of a device."""

    url: str
    token_file: str
    device: int


def path_beside(link: str) -> str:
    """The file that belongs to a link."""
    return f"{link}.control"


def write_beside(link: str, beside: Beside) -> None:
    """Put the file beside a link, in place of one that another device has left there.

    Raises:
        OSError: it cannot be written.
        msgspec.DecodeError: there is a file of that name that holds something else.
    """
    with suppress(FileNotFoundError):
        read_beside(link)
    write_for_owner(path_beside(link), msgspec.json.encode(beside).decode() + "\n")


def read_beside(link: str) -> Beside:
    """What the file beside a link says.

    Raises:
        OSError: there is none, or it cannot be read.
        msgspec.DecodeError: it holds something else.
    """
    with open(path_beside(link), "rb") as file:
        return msgspec.json.decode(file.read(), type=Beside)


def remove_beside(link: str, beside: Beside) -> None:
    """Remove the file beside a link, unless another device has put its own there."""
    with suppress(OSError, msgspec.DecodeError):
        if read_beside(link) == beside:
            os.unlink(path_beside(link))
