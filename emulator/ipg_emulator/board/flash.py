"""The flash memory on the board, in any mutable buffer: pages that wear, and bits that can rot."""

from __future__ import annotations

import mmap

PAGE_COUNT = 128
PAGE_BYTES = 2048
UNIT_BYTES = 8
"""256 kB in the manner of an STM32L4: pages of 2 kB, programmed 64 bits at a time (design)."""
WEAR_BYTES = 4
INVERTED = bytes(255 - byte for byte in range(256))


class FlashError(ValueError):
    """What no flash does: an address or size that is not of whole units or not there, or programming what is not erased."""


class FlashMemory:
    """A flash memory whose bytes are kept inverted in the buffer, behind them each page's count of erasures.

    Inverted, because a new buffer or file is made of zeros, and so is an erased flash then. Its memory is taken from the start,
    so that a device does not grow as it is used. Units are programmed in the order of their addresses.
    """

    def __init__(
        self,
        buffer: bytearray | mmap.mmap | None = None,
        *,
        page_count: int = PAGE_COUNT,
        page_bytes: int = PAGE_BYTES,
        unit_bytes: int = UNIT_BYTES,
    ) -> None:
        self.is_writable = True
        self.page_count = page_count
        self.page_bytes = page_bytes
        self.unit_bytes = unit_bytes
        self._size = page_count * page_bytes
        needed = self._size + page_count * WEAR_BYTES
        self._buffer = bytearray(bytes(needed)) if buffer is None else buffer
        if len(self._buffer) < needed:
            raise FlashError(f"a buffer of {len(self._buffer)} bytes is shorter than the {needed} of this flash")

    @property
    def buffer(self) -> bytearray | mmap.mmap:
        """What its bytes are kept in."""
        return self._buffer

    def read(self, address: int, size: int) -> bytes:
        """The bytes from an address on."""
        if address < 0 or address + size > self._size:
            raise FlashError(f"{size} bytes from address {address} are not all there")
        return bytes(self._buffer[address : address + size]).translate(INVERTED)

    def program(self, address: int, data: bytes) -> None:
        """Write whole units into erased bytes.

        Raises:
            FlashError: they are not whole units, not there or not erased; nothing was written.
        """
        end = address + len(data)
        if address % self.unit_bytes or len(data) % self.unit_bytes or address < 0 or end > self._size:
            raise FlashError(f"{len(data)} bytes from address {address} are not whole units of this flash")
        if self._buffer[address:end].strip(b"\0"):
            raise FlashError(f"of {len(data)} bytes from address {address} not all are erased")
        self._buffer[address:end] = data.translate(INVERTED)

    def erase(self, page: int) -> None:
        """Set a page to 0xFF; it wears.

        Raises:
            FlashError: there is no such page.
        """
        if not 0 <= page < self.page_count:
            raise FlashError(f"there is no page {page}")
        self._buffer[page * self.page_bytes : (page + 1) * self.page_bytes] = bytes(self.page_bytes)
        at = self._size + page * WEAR_BYTES
        count = int.from_bytes(self._buffer[at : at + WEAR_BYTES], "little") + 1
        self._buffer[at : at + WEAR_BYTES] = count.to_bytes(WEAR_BYTES, "little")

    def wear(self) -> list[int]:
        """How often each page was erased."""
        counts = self._buffer[self._size : self._size + self.page_count * WEAR_BYTES]
        return [int.from_bytes(counts[at : at + WEAR_BYTES], "little") for at in range(0, len(counts), WEAR_BYTES)]

    def rot(self, address: int, bit: int) -> None:
        """Turn over one stored bit, as age and radiation do."""
        self._buffer[address] ^= 1 << bit

    def tear(self, address: int, data: bytes) -> None:
        """Leave bytes as a power failure does, erased or not."""
        self._buffer[address : address + len(data)] = data.translate(INVERTED)
