"""How wide the terminal is, found without `shutil`, whose import every start would pay for."""

from __future__ import annotations

import os

DEFAULT_COLUMNS = 80


def columns(descriptor: int) -> int:
    """The width of the terminal behind a descriptor, in characters; 80 where there is none."""
    try:
        return os.get_terminal_size(descriptor).columns or DEFAULT_COLUMNS
    except OSError:
        return DEFAULT_COLUMNS
