"""A map of bytes that outlasts power cuts: a log of checksummed records in one bank of flash, compacted into the other.

One record is one atomic change. Records are numbered without a gap, so that a gap tells a lost record from a torn one.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping

import msgspec

from ipg_emulator.board import Flash
from ipg_emulator.firmware.flash_records import (
    ITEM_BYTES,
    Damage,
    Record,
    RecordKind,
    count_seals,
    pack_changes,
    read_records,
    seal_record,
    unpack_changes,
    written_bytes,
)

ERASED = b"\xff"
END = struct.Struct("<II")
"""How many pieces the snapshot has, and its generation."""
PIECE_BYTES = 1024
"""About how long the pieces of a snapshot are; in each, one rotten bit can be mended."""
LIVE_PERMILLE = 750
"""How much of a bank live values may fill: the rest is for changes, so that a bank is not compacted at every one."""


class StorageFull(Exception):
    """The values do not fit a bank; nothing was changed."""


class Recovery(msgspec.Struct, frozen=True):
    """What was found when the flash was opened."""

    is_new: bool = False
    """Nothing was ever stored."""
    is_lost: bool = False
    """Something was stored, and nothing of it can be read."""
    torn_bytes: int = 0
    """Of writes that a power cut tore: harmless, for they were never answered."""
    lost_records: int = 0
    """Changes that were stored and cannot be read, or stand behind such a one."""
    fell_back: bool = False
    """The newer bank's snapshot was unreadable: the state was put together from the older one and the newer's changes."""
    mended_bits: int = 0


class _Bank:
    """One half of the flash, as it reads when it is opened."""

    def __init__(self, flash: Flash, number: int) -> None:
        self.base = number * flash.page_count // 2 * flash.page_bytes
        image = flash.read(self.base, flash.page_count // 2 * flash.page_bytes)
        self.written = written_bytes(image, flash.unit_bytes)
        """Up to where nothing more can be programmed, once all records are read."""
        self.claimed_generation = 0
        """What the end of a snapshot says, be the pieces before it readable or not."""
        self.generation = 0
        """Of the snapshot; 0 when there is none that is whole."""
        self.sequence = 0
        self.snapshot: dict[bytes, bytes] = {}
        self.is_unfinished = False
        """There is nothing but what compactions left that a power cut broke off."""
        self.unsealed_bytes = self.damaged_bytes = self.mended_bits = 0
        self.ends_rotten = False
        self._most_torn_bytes = 2 * flash.page_bytes
        self._seals_unread = count_seals(image, flash.unit_bytes)
        self._found = read_records(image, flash.unit_bytes)
        self._pieces: list[Record] = []
        """Read so far, one right behind the other."""
        self._first_change: list[Record] = []
        self._read_snapshot()

    @property
    def is_ruined(self) -> bool:
        """Whether more is unreadable than what power cuts in a compaction leave: a page half erased, and torn pieces."""
        return self.is_unfinished and self.damaged_bytes > min(self.unsealed_bytes, self._most_torn_bytes)

    @property
    def held_more(self) -> bool:
        """Whether there are seals of records that cannot be read: once all are read."""
        return self._seals_unread > 0

    def changes(self) -> list[Record]:
        """The changes behind the snapshot, or all there are if none is whole."""
        return [record for record in [*self._first_change, *self._records()] if record.kind is RecordKind.CHANGE]

    def _records(self) -> Iterator[Record]:
        for found in self._found:
            self.ends_rotten = isinstance(found, Damage) and found.sealed
            if isinstance(found, Record):
                self.mended_bits += found.mended
                self._seals_unread -= 1
                self.written = max(self.written, found.end)
                yield found
            else:
                self._pieces.clear()
                self.damaged_bytes += found.size
                self.unsealed_bytes += 0 if found.sealed else found.size

    def _read_snapshot(self) -> None:
        for record in self._records():
            match record.kind:
                case RecordKind.PIECE:
                    self._pieces.append(record)
                    continue
                case RecordKind.CHANGE:
                    self._first_change.append(record)
                case RecordKind.END:
                    self._end_snapshot(record)
            return
        self.is_unfinished = True

    def _end_snapshot(self, end: Record) -> None:
        """Before its end stand the pieces of the snapshot, and before them may stand those of one that was broken off."""
        count, self.claimed_generation = END.unpack(end.payload)
        if count > len(self._pieces):
            return
        self.generation, self.sequence = self.claimed_generation, end.sequence
        for piece in self._pieces[len(self._pieces) - count :]:
            _apply(self.snapshot, unpack_changes(piece.payload))


def capacity_bytes(flash: Flash) -> int:
    """How many bytes of keys and values a store on this flash takes."""
    return flash.page_count // 2 * flash.page_bytes * LIVE_PERMILLE // 1000


class Store:
    """What is stored, all of it in `values` for reading.

    After a power cut inside `write` (the flash raises) the object is of no more use: a new one finds the old state or the new.
    """

    def __init__(self, flash: Flash) -> None:
        self.flash = flash
        self._bank_bytes = flash.page_count // 2 * flash.page_bytes
        banks = _Bank(flash, 0), _Bank(flash, 1)
        current = max(banks, key=lambda bank: bank.generation)
        other = banks[1] if current is banks[0] else banks[0]
        self._base = current.base
        self._generation = max(bank.claimed_generation for bank in banks)
        self._sequence = current.sequence
        self.values = current.snapshot if current.generation else {}
        self.recovery = self._replay(current, other)
        self._end = current.written if current.generation else self._bank_bytes
        self._other_end = other.written if other.is_unfinished else self._bank_bytes
        self._most_live_bytes = capacity_bytes(flash)
        self._live_bytes = _bytes_of(self.values)
        """At most: what is written adds to it, and what that replaces is taken off when it is counted anew."""
        if self.values and (self.recovery.lost_records or self.recovery.fell_back or self.recovery.mended_bits):
            self._compact()

    def write(self, changes: Mapping[bytes, bytes | None]) -> None:
        """Store one atomic change: keys get new values, keys with None go. Keys are of up to 255 bytes, values of up to 65534.

        Raises:
            StorageFull: the values would not fit; nothing was changed.
        """
        payload = pack_changes(changes)
        if self._live_bytes + len(payload) > self._most_live_bytes:
            self._check_room(changes)
        record = self._sealed(RecordKind.CHANGE, payload)
        if not self._fits(len(record)):
            self._compact(room=len(record))
            if not self._fits(len(record)):
                raise StorageFull(f"a change of {len(record)} bytes is more than a compacted bank has left")
        self._append(record)
        self._sequence += 1
        self._live_bytes += len(payload)
        _apply(self.values, changes)

    def _check_room(self, changes: Mapping[bytes, bytes | None]) -> None:
        """Count anew how much the values take, and refuse to let them grow beyond what a bank is filled with."""
        after = dict(self.values)
        _apply(after, changes)
        self._live_bytes, grown = _bytes_of(self.values), _bytes_of(after)
        if grown > max(self._live_bytes, self._most_live_bytes):
            raise StorageFull(f"{grown} bytes of values are more than a bank is filled with")

    def _fits(self, size: int) -> bool:
        """Whether there is room; bits that have rotted where all was erased leave none."""
        is_room = self._end + size <= self._bank_bytes
        return is_room and not self.flash.read(self._base + self._end, size).strip(ERASED)

    def _append(self, record: bytes) -> None:
        self.flash.program(self._base + self._end, record)
        self._end += len(record)

    def _compact(self, *, room: int = 0) -> None:
        """Write all values into the other bank. The record behind the last piece makes that bank the newer one.

        Behind what a power cut has broken off, if there is so much room, and this much more: so the pages wear evenly whatever
        happens.
        """
        pieces = _pieces(self.values)
        records = [self._sealed(RecordKind.PIECE, piece) for piece in pieces]
        self._generation += 1
        records.append(self._sealed(RecordKind.END, END.pack(len(pieces), self._generation)))
        self._base = self._bank_bytes - self._base
        self._end = self._other_end
        if not self._fits(sum(map(len, records)) + room):
            self._erase_bank()
        for record in records:
            self._append(record)
        self._other_end = self._bank_bytes

    def _sealed(self, kind: RecordKind, payload: bytes) -> bytes:
        sequence = self._sequence + (kind is RecordKind.CHANGE)
        return seal_record(kind, sequence, payload, self.flash.unit_bytes)

    def _erase_bank(self) -> None:
        """Erase the pages of the bank that are not; all of them, if no power cut broke that off before.

        Begun at another page each time, so that no page is always the one at which power fails.
        """
        size, pages = self.flash.page_bytes, self.flash.page_count // 2
        for place in range(pages):
            page = self._base // size + (self._generation + place) % pages
            if self.flash.read(page * size, size).strip(ERASED):
                self.flash.erase(page)
        self._end = 0

    def _replay(self, current: _Bank, other: _Bank) -> Recovery:
        """Apply the changes that follow without a gap on the snapshot; where there is none, on nothing, from the first on."""
        changes = current.changes()
        newer = [] if other.generation else [record for record in other.changes() if record.sequence > current.sequence]
        changes = sorted(changes + newer, key=lambda record: record.sequence)
        for record in changes:
            if record.sequence != self._sequence + 1:
                break
            _apply(self.values, unpack_changes(record.payload))
            self._sequence = record.sequence
        highest = changes[-1].sequence if changes else current.sequence
        highest += (other if newer else current).ends_rotten
        lost, self._sequence = highest - self._sequence, highest
        has_held_some = highest or any(bank.is_ruined or bank.held_more for bank in (current, other))
        if not self.values and has_held_some:
            self._sequence = highest or 1
            return Recovery(is_lost=True, lost_records=lost)
        is_newer_ruined = bool(newer) or other.claimed_generation > current.generation or other.is_ruined
        return Recovery(
            is_new=not highest,
            torn_bytes=current.unsealed_bytes + (0 if other.generation else other.unsealed_bytes),
            lost_records=lost,
            fell_back=is_newer_ruined or (bool(changes) and not current.generation),
            mended_bits=current.mended_bits,
        )


def _apply(values: dict[bytes, bytes], changes: Mapping[bytes, bytes | None]) -> None:
    for key, value in changes.items():
        if value is None:
            values.pop(key, None)
        else:
            values[key] = value


def _bytes_of(values: Mapping[bytes, bytes]) -> int:
    return sum(ITEM_BYTES + len(key) + len(value) for key, value in values.items())


def _pieces(values: Mapping[bytes, bytes]) -> list[bytes]:
    """The payloads of a snapshot."""
    pieces, piece = list[bytes](), b""
    for key, value in values.items():
        piece += pack_changes({key: value})
        if len(piece) >= PIECE_BYTES:
            pieces.append(piece)
            piece = b""
    return [*pieces, piece] if piece else pieces
