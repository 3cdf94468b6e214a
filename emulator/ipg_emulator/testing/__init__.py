"""Virtual devices for tests: what the pytest plugin is made of, to be used without it too."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ipg_emulator.testing.ipg import Ipg

__all__ = ["virtual_ipg"]


@contextmanager
def virtual_ipg(**asked: Any) -> Generator[Ipg]:
    """A virtual device as `@pytest.mark.ipg` asks for it, by the same arguments; the first of several.

    Raises:
        MarkerError: an argument that there is not, or that cannot be so.
        CannotLend: it cannot be had.
    """
    from ipg_emulator.testing.lending import lend
    from ipg_emulator.testing.nursery import Nursery
    from ipg_emulator.testing.wanted import wanted

    with ExitStack() as ending:
        nursery = cache(lambda: ending.enter_context(Nursery()))
        yield lend(wanted([((), asked)]), ending, nursery)[0]
