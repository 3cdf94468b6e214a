"""The progress bar of a measurement, on a terminal's stderr; elsewhere nothing is drawn."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager


@contextmanager
def measuring() -> Generator[Callable[[int, int], None]]:
    """A function to tell pairs measured and planned, as long as the context lasts."""
    if not sys.stderr.isatty():
        yield lambda _measured, _planned: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (TextColumn("measuring impedance"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda measured, planned: bar.update(task, completed=measured, total=planned)
