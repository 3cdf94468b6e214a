"""What became of a change: looked up by its number, or brought to an end after its outcome was unknown."""

from __future__ import annotations

import msgspec
from ipg_protocol import CATALOGUE, Message, decode
from ipg_protocol.command import is_change
from ipg_protocol.commands.link import TransactionOutcome, TransactionReport, TransactionStatus

from ipg_host.conversation import Procedure, ask
from ipg_host.errors import OutcomeUnknown
from ipg_host.recovery import committed_answer


class Fate(msgspec.Struct, frozen=True):
    """What became of a transaction; when it was committed, also its command and the answer it got."""

    transaction: int
    outcome: TransactionOutcome
    command: str | None
    answer: Message | None


def transaction_status(transaction: int) -> Procedure[TransactionReport]:
    """Ask what became of a change of this host."""
    return ask(TransactionStatus(transaction=transaction))


def fate(transaction: int) -> Procedure[Fate]:
    """Read what became of a change of this host, decoded."""
    report = yield from transaction_status(transaction)
    command = CATALOGUE.get(report.opcode) if report.outcome is TransactionOutcome.COMMITTED else None
    if command is None:
        return Fate(transaction, report.outcome, None, None)
    return Fate(transaction, report.outcome, command.name, decode(command.response, report.answer))


def resolve(unknown: OutcomeUnknown) -> Procedure[Message]:
    """Bring a request of unknown outcome to its end, once, and return its answer: it takes effect only if it had not been seen.

    It needs a session of the same host, and goes before other changes where that session is not the one the error came from:
    until the device has seen a number, another program of this host may take it.

    Raises:
        OutcomeUnknown: the device has forgotten, or the link fails once more.
        Refused: it had not been carried out, and is now refused; as ID_REUSED when its number was taken.
    """
    request = unknown.request
    if is_change(request):
        report = yield from transaction_status(request.transaction)
        committed_answer(request, report)
    # One that was committed too: the device sees by its bytes whether it was this change that took the number.
    final: Message = yield from ask(request)
    return final
