"""The journal: which changes of which host have taken effect, and what they were answered."""

import msgspec

TRANSACTIONS_PER_HOST = 32
HOSTS = 8


class Committed(msgspec.Struct, array_like=True, frozen=True):
    """A transaction that took effect: the request it came with, and the answer it got."""

    opcode: int
    payload: bytes
    answer: bytes


class Entry(msgspec.Struct, array_like=True, frozen=True):
    """A transaction in its place: `order` counts over all hosts; `forgotten` is the highest of its host no longer kept."""

    transaction: int
    order: int
    forgotten: int
    committed: Committed


class Journal:
    """The transactions of one host, the last ones by number of transaction."""

    def __init__(self) -> None:
        self.slots: dict[int, Entry] = {}
        """By place, of which there are TRANSACTIONS_PER_HOST; the newest takes the place of the oldest."""
        self.kept: dict[int, Committed] = {}
        """By transaction."""
        self.newest_slot = -1

    @property
    def forgotten(self) -> int:
        """The highest transaction that is no longer kept."""
        return self.slots[self.newest_slot].forgotten if self.slots else 0

    @property
    def order(self) -> int:
        """The place of the newest transaction among those of all hosts."""
        return self.slots[self.newest_slot].order if self.slots else 0

    @property
    def last(self) -> int:
        """The highest transaction that took effect, 0 if none."""
        return max([self.forgotten, *self.kept])

    def put(self, slot: int, entry: Entry) -> None:
        """Take in a transaction; what was in its place is forgotten."""
        displaced = self.slots.get(slot)
        if displaced is not None:
            del self.kept[displaced.transaction]
        self.slots[slot] = entry
        self.kept[entry.transaction] = entry.committed
        if self.newest_slot not in self.slots or entry.order >= self.order:
            self.newest_slot = slot

    def record(self, transaction: int, order: int, committed: Committed) -> int:
        """Take in a transaction that is new; its place."""
        slot = (self.newest_slot + 1) % TRANSACTIONS_PER_HOST
        displaced = self.slots.get(slot)
        forgotten = max(self.forgotten, displaced.transaction) if displaced else self.forgotten
        self.put(slot, Entry(transaction, order, forgotten, committed))
        return slot


class Journals:
    """The journals of the hosts that were the last to change something."""

    def __init__(self) -> None:
        self._of_host: dict[int, Journal] = {}

    def of(self, host_id: int) -> Journal:
        """The journal of a host; an empty one, if nothing is known of it."""
        return self._of_host.get(host_id) or Journal()

    def put(self, host_id: int, slot: int, entry: Entry) -> None:
        """Take in what was stored."""
        self._of_host.setdefault(host_id, Journal()).put(slot, entry)

    def record(self, host_id: int, transaction: int, committed: Committed) -> tuple[int, Entry]:
        """Take in a transaction that is new: its place in the journal of its host, and the entry."""
        order = 1 + max((journal.order for journal in self._of_host.values()), default=0)
        journal = self._of_host.setdefault(host_id, Journal())
        slot = journal.record(transaction, order, committed)
        return slot, journal.slots[slot]

    def displaced(self) -> dict[int, Journal]:
        """Drop the hosts beyond the last few: who they are, and what was kept of them."""
        dropped: dict[int, Journal] = {}
        while len(self._of_host) > HOSTS:
            host_id = min(self._of_host, key=lambda host: self._of_host[host].order)
            dropped[host_id] = self._of_host.pop(host_id)
        return dropped
