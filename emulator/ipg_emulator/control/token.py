"""The secret that a caller of the control channel must show, in a file that its owner alone can read."""

from __future__ import annotations

import os
import re
import secrets
from contextlib import suppress

from ipg_emulator.ports import PortError

OWNER_ALONE = 0o600
_LOOKS_LIKE_ONE = re.compile(rb"[A-Za-z0-9_-]{43}\n")


class TokenFile:
    """A new token in a file of its own, from `write` to `remove`."""

    def __init__(self, path: str) -> None:
        self.path = os.path.abspath(path)
        self.token = secrets.token_urlsafe(32)
        self._written: os.stat_result | None = None

    def write(self) -> None:
        """Put the token into its file, in place of one that another device has left there.

        Raises:
            PortError: the file holds something else, or cannot be written.
        """
        try:
            _check_replaceable(self.path)
            self._written = write_for_owner(self.path, f"{self.token}\n")
        except OSError as error:
            raise PortError(f"--control-token {self.path}: {error.strerror}") from error

    def remove(self) -> None:
        """Remove the file, unless it has been replaced meanwhile."""
        with suppress(FileNotFoundError):
            if self._written and os.path.samestat(self._written, os.stat(self.path)):
                os.unlink(self.path)


def read_token(path: str) -> str:
    """The token in a file.

    Raises:
        OSError: it cannot be read.
        ValueError: it holds no token.
    """
    with open(path, "rb") as file:
        content = file.read(100)
    if not _LOOKS_LIKE_ONE.fullmatch(content):
        raise ValueError(f"{path} holds no token; give the file that `ipg-emulator run --control` names")
    return content.decode().strip()


def write_for_owner(path: str, text: str) -> os.stat_result:
    """Write a file that only its owner can read, all of it at once; whoever had it open keeps the old one."""
    beside = f"{path}.{os.getpid()}"
    with suppress(FileNotFoundError):
        os.unlink(beside)
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, OWNER_ALONE)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        written = os.fstat(file.fileno())
    os.replace(beside, path)
    return written


def _check_replaceable(path: str) -> None:
    with suppress(FileNotFoundError), open(path, "rb") as file:
        if not _LOOKS_LIKE_ONE.fullmatch(file.read(100)):
            raise PortError(
                f"--control-token {path}: there is a file of that name that holds no token; give a path that is free"
            )
