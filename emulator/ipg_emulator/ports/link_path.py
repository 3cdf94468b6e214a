"""A stable symlink to a PTY: replaced when its owner is dead, refused while it lives, removed on leaving.

The owner holds a lock on a hidden file beside the link; the system frees it however the process ends.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress

from ipg_emulator.ports import PortError


class StableLink:
    """A symlink that this process owns."""

    def __init__(self, path: str) -> None:
        self.path = path
        folder, name = os.path.split(path)
        self._lock_path = os.path.join(folder, f".{name}.lock")
        self._lock: int | None = None

    def make(self, target: str) -> None:
        """Point the link at `target`.

        Raises:
            PortError: the path is no link, belongs to a running device, or cannot be written.
        """
        if os.path.exists(self.path) and not os.path.realpath(self.path).startswith("/dev/"):
            what = "a directory" if os.path.isdir(self.path) else "a file"
            raise PortError(f"--link {self.path}: there is {what} of that name; give a path that is free")
        try:
            self._lock = self._take_lock()
            _unlink(self.path)
            os.symlink(target, self.path)
        except BlockingIOError:
            raise PortError(f"--link {self.path}: a running device has it; stop that one or give another path") from None
        except OSError as error:
            raise PortError(f"--link {self.path}: {error.strerror}") from error

    def remove(self) -> None:
        """Remove the link, if it is this process's."""
        if self._lock is not None:
            _unlink(self.path)
            _unlink(self._lock_path)
            os.close(self._lock)
            self._lock = None

    def _take_lock(self) -> int:
        while True:
            lock = os.open(self._lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.path.samestat(os.fstat(lock), os.stat(self._lock_path)):
                    return lock
            except FileNotFoundError:
                pass
            except BaseException:
                os.close(lock)
                raise
            os.close(lock)


def _unlink(path: str) -> None:
    with suppress(FileNotFoundError):
        os.unlink(path)
