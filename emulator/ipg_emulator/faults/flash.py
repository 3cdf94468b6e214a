"""Flash whose power fails before, inside or after a write, and flash that is worn."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, unique
from typing import TYPE_CHECKING

from ipg_emulator.board import Flash
from ipg_emulator.board.flash import FlashMemory
from ipg_emulator.faults.layer import Layer

if TYPE_CHECKING:
    from ipg_emulator.faults.fault import Chance

Bits = Callable[[int], int]
"""So many random bits: `getrandbits` of a seeded generator."""


class PowerCut(Exception):
    """The supply failed; whatever ran is dead, and what it held in RAM is gone."""


@unique
class Moment(Enum):
    """When the power fails, against one programming or erasing of the flash."""

    BEFORE = "before"
    INSIDE = "inside"
    AFTER = "after"


class FailingFlash:
    """A flash memory whose supply fails once, at the operation asked for. Operations are counted from 0: programs and erasures.

    Inside a program, some of its units are written, the next has some of its bits, and the rest none. Inside an erasure the
    whole page reads as chance has it.
    """

    def __init__(self, flash: FlashMemory, bits: Bits, *, at: int | None = None, moment: Moment = Moment.BEFORE) -> None:
        self.is_writable = True
        self.page_count = flash.page_count
        self.page_bytes = flash.page_bytes
        self.unit_bytes = flash.unit_bytes
        self.operations = 0
        self._flash = flash
        self._bits = bits
        self._at = at
        self._moment = moment

    def fail_at(self, at: int | None, moment: Moment) -> None:
        """Fail at this operation of those to come, counted from 0 anew; None: at none."""
        self.operations, self._at, self._moment = 0, at, moment

    def read(self, address: int, size: int) -> bytes:
        return self._flash.read(address, size)

    def program(self, address: int, data: bytes) -> None:
        self._run(lambda: self._flash.program(address, data), lambda: self._tear_program(address, data))

    def erase(self, page: int) -> None:
        self._run(lambda: self._flash.erase(page), lambda: self._tear_erasure(page))

    def _run(self, operation: Callable[[], None], torn: Callable[[], None]) -> None:
        number, self.operations = self.operations, self.operations + 1
        if number != self._at:
            operation()
            return
        if self._moment is not Moment.BEFORE:
            (torn if self._moment is Moment.INSIDE else operation)()
        raise PowerCut(f"power failed {self._moment.value} operation {number} of the flash")

    def _tear_program(self, address: int, data: bytes) -> None:
        unit = self.unit_bytes
        whole = self._bits(32) % (len(data) // unit) * unit
        if whole:
            self._flash.program(address, data[:whole])
        programmed = int.from_bytes(data[whole : whole + unit], "little") | self._bits(8 * unit)
        self._flash.tear(address + whole, programmed.to_bytes(unit, "little"))

    def _tear_erasure(self, page: int) -> None:
        self._flash.erase(page)
        self._flash.tear(page * self.page_bytes, self._bits(8 * self.page_bytes).to_bytes(self.page_bytes, "little"))


class WornFlash(Layer[Flash]):
    """A flash memory near or beyond its end: of each write some bits may not hold, or nothing can be written any more."""

    def __init__(self, inner: Flash, chance: Chance, *, weak: float, bits: int, dead: bool) -> None:
        super().__init__(inner)
        self.page_count = inner.page_count
        self.page_bytes = inner.page_bytes
        self.unit_bytes = inner.unit_bytes
        self._chance = chance
        self._weak = weak
        self._bits = bits
        self._dead = dead

    @property
    def is_writable(self) -> bool:
        return self.inner.is_writable and not self._dead

    def read(self, address: int, size: int) -> bytes:
        return self.inner.read(address, size)

    def program(self, address: int, data: bytes) -> None:
        if self._weak and self._chance.random() < self._weak:
            data = self._weakened(data)
        self.inner.program(address, data)

    def erase(self, page: int) -> None:
        self.inner.erase(page)

    def _weakened(self, data: bytes) -> bytes:
        number = int.from_bytes(data, "little")
        for _ in range(self._bits):
            number ^= 1 << self._chance.randrange(8 * len(data))
        return number.to_bytes(len(data), "little")
