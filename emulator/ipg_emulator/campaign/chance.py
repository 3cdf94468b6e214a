"""What is drawn from a name and a number alone: leaving one thing out of a world changes no other."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b, shake_256
from itertools import count


def draws(name: str, number: int) -> memoryview:
    """Eight numbers from 0 to 65535: the `number`th eight that belong to a name."""
    return memoryview(blake2b(f"{name} {number}".encode(), digest_size=16).digest()).cast("H")


def fractions(name: str) -> Callable[[], float]:
    """The fractions from 0 to 1 that belong to a name, one at each call."""
    numbers = count(1)
    return lambda: draws(name, next(numbers))[0] / 65_536


def bits(name: str) -> Callable[[int], int]:
    """As `getrandbits` of a generator that is seeded with a name."""
    numbers = count(1)

    def next_bits(width: int) -> int:
        return int.from_bytes(shake_256(f"{name} {next(numbers)}".encode()).digest(width // 8 + 1)) >> 8 - width % 8

    return next_bits
