"""What must not take long: 100 ms of the processor's time for one input."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import contextmanager

LONGEST_MS = 100


@contextmanager
def promptly() -> Generator[None, None, None]:
    """Raises AssertionError if what is done inside takes too long; time that other processes have does not count."""
    began = time.thread_time()
    yield
    spent_ms = 1000 * (time.thread_time() - began)
    assert spent_ms < LONGEST_MS, f"it took {spent_ms:.0f} ms"
