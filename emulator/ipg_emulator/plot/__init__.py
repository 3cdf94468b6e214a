"""Pictures of a device in virtual time: `ipg-emulator plot`. They need matplotlib, the optional extra `plot`."""

from __future__ import annotations

import os
from importlib import import_module

SUFFIXES = (".png", ".svg", ".pdf")


class PlotError(Exception):
    """A picture cannot be made; the text says why, and what to do."""


def check_target(path: str) -> None:
    """Refuse what cannot become a picture before anything is computed.

    Raises:
        PlotError: the file's name does not end in a known suffix, or matplotlib is not installed.
    """
    if os.path.splitext(path)[1] not in SUFFIXES:
        raise PlotError(f"{path}: a picture's name ends in {', '.join(SUFFIXES)}")
    try:
        import_module("matplotlib")
    except ModuleNotFoundError:
        raise PlotError("plotting needs matplotlib: pip install 'virtual-ipg[plot]'") from None
