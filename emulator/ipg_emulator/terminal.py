"""The terminal: its width, found without `shutil`, whose import every start would pay for, and a line of complaint on it."""

from __future__ import annotations

import os
import sys

DEFAULT_COLUMNS = 80


def columns(descriptor: int) -> int:
    """The width of the terminal behind a descriptor, in characters; 80 where there is none."""
    try:
        return os.get_terminal_size(descriptor).columns or DEFAULT_COLUMNS
    except OSError:
        return DEFAULT_COLUMNS


def complain(words: str) -> None:
    """Say in a line what is wrong."""
    print(f"ipg-emulator: {words}", file=sys.stderr)
