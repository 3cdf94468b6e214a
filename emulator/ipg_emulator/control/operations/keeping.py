"""Operations that keep the device as it is, and go back to it."""

from __future__ import annotations

from typing import Annotated

import msgspec

from ipg_emulator.control.answers import SnapshotContent, SnapshotReport, seconds
from ipg_emulator.control.operation import Operation, OperationError, operation
from ipg_emulator.control.witness import Kept, witness_of
from ipg_emulator.virtual import Subject

Name = Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9._-]{1,64}$", description="a name of letters, digits, dots and dashes")]


@operation("snapshot")
class TakeSnapshot(Operation[SnapshotReport], frozen=True):
    """Keep the whole device as it is now under a name, in place of what the name stood for."""

    name: Name = "snapshot"

    def run(self, subject: Subject) -> SnapshotReport:
        from ipg_emulator.snapshot import SnapshotError

        witness = witness_of(subject.ipg)
        try:
            snapshot = subject.snapshot()
        except SnapshotError as error:
            raise OperationError(str(error)) from None
        witness.keep(self.name, snapshot)
        return SnapshotReport(self.name, seconds(snapshot.at_us))


@operation("restore")
class RestoreSnapshot(Operation[SnapshotReport], frozen=True):
    """Go on from a snapshot, at its time; what has happened since is forgotten."""

    name: Name = "snapshot"

    def run(self, subject: Subject) -> SnapshotReport:
        from ipg_emulator.snapshot import SnapshotError

        kept = _kept(subject, self.name)
        try:
            subject.restore(kept.snapshot)
        except SnapshotError as error:
            raise OperationError(str(error)) from None
        witness_of(subject.ipg).go_back(kept)
        return SnapshotReport(self.name, seconds(kept.snapshot.at_us))


@operation("snapshots", reads=True)
class ListSnapshots(Operation[list[SnapshotReport]], frozen=True):
    """The snapshots that are kept."""

    def run(self, subject: Subject) -> list[SnapshotReport]:
        snapshots = witness_of(subject.ipg).snapshots
        return [SnapshotReport(name, seconds(kept.snapshot.at_us)) for name, kept in snapshots.items()]


@operation("export-snapshot", reads=True)
class ExportSnapshot(Operation[SnapshotContent], frozen=True):
    """A snapshot as a file holds it, which `ipg-emulator run --snapshot FILE` goes on from."""

    name: Name = "snapshot"

    def run(self, subject: Subject) -> SnapshotContent:
        snapshot = _kept(subject, self.name).snapshot
        return SnapshotContent(self.name, seconds(snapshot.at_us), snapshot.file_content())


def _kept(subject: Subject, name: str) -> Kept:
    snapshots = witness_of(subject.ipg).snapshots
    if name not in snapshots:
        known = ", ".join(sorted(snapshots)) or "none"
        raise OperationError(f"there is no snapshot {name!r}; there are: {known}")
    return snapshots[name]
