"""Transactions: which changes are known to have been made."""

from __future__ import annotations

from typing import Any

from ipg_protocol.command import CATALOGUE, Command
from ipg_protocol.commands.link import FactoryReset, TransactionOutcome, TransactionReport, TransactionStatus
from ipg_protocol.commands.log import ClearFault
from ipg_protocol.commands.programs import RestoreCheckpoint, SaveCheckpoint
from ipg_protocol.frame import Frame
from ipg_protocol.refusal import Done
from ipg_protocol.vocabulary import Status
from ipg_protocol.wire import Message
from msgspec.structs import replace

from ipg_emulator.faults.defects.defect import Usual, answering, booting, inside, part, put
from ipg_emulator.firmware import Firmware
from ipg_emulator.firmware.dispatch import Context
from ipg_emulator.firmware.journal import Committed, Journals
from ipg_emulator.firmware.link import Link
from ipg_emulator.firmware.sessions import Session


@part("link", "_earlier_reply")
def transaction_executed_again(usual: Usual[Any], link: Link, session: Session | None, frame: Frame, request: Message) -> Any:
    """A change whose transaction was committed is executed again under another request id."""
    number = getattr(request, "transaction", 0)
    is_kept = session is not None and number in link.device.memory.journal(session.host_id).kept
    return None if is_kept else usual(session, frame, request)


@part("link", "_earlier_reply")
def transaction_zero_taken(usual: Usual[Any], _: Link, session: Any, frame: Frame, request: Message) -> Any:
    """A change with the transaction 0 is executed."""
    return None if getattr(request, "transaction", 1) == 0 else usual(session, frame, request)


@part("link", "_earlier_reply")
def reused_transaction_answered_from_store(
    usual: Usual[Any], link: Link, session: Session | None, frame: Frame, request: Any
) -> Any:
    """Another change of the same kind under a committed transaction gets the answer of the first."""
    reply = usual(session, frame, request)
    if session is None or reply is None or reply.status is not Status.ID_REUSED:
        return reply
    kept = link.device.memory.journal(session.host_id).kept[request.transaction]
    return usual(session, replace(frame, payload=kept.payload), request) if kept.opcode == frame.opcode else reply


@booting
def journal_lost_in_reset(firmware: Firmware) -> None:
    """After a reset nothing is known of the transactions before it."""
    put(firmware.memory, _journals=Journals())


@part("memory", "record")
def journal_of_one_host(usual: Usual[None], memory: Any, host_id: int, transaction: int, committed: Committed) -> None:
    """The transactions of the last host alone are kept."""
    hosts = inside(inside(memory, "_journals"), "_of_host")
    for other in [known for known in hosts if known != host_id]:
        del hosts[other]
    usual(host_id, transaction, committed)


@answering(TransactionStatus)
def transaction_without_its_answer(report: TransactionReport, _: Context) -> TransactionReport:
    """TRANSACTION_STATUS does not tell what a committed transaction was answered."""
    return replace(report, answer=b"")


@answering(TransactionStatus)
def unseen_transaction_is_forgotten(report: TransactionReport, _: Context) -> TransactionReport:
    """TRANSACTION_STATUS says FORGOTTEN of a transaction that never came."""
    is_unseen = report.outcome is TransactionOutcome.NOT_SEEN
    return replace(report, outcome=TransactionOutcome.FORGOTTEN) if is_unseen else report


@part("link", "_execute")
def refused_change_recorded(usual: Usual[Any], link: Link, entry: Command, frame: Frame, *others: Any) -> Any:
    """A refused change uses up its transaction, which then stands as committed."""
    reply = usual(entry, frame, *others)
    request, session, _ = others
    if session is not None and entry.is_change and reply is not None and reply.status is Status.OUT_OF_RANGE:
        answer = b"" if entry.response is Done else bytes(12)
        link.device.memory.record(session.host_id, request.transaction, Committed(frame.opcode, frame.payload, answer))
    return reply


@part("link", "_record")
def checkpoints_not_journalled(usual: Usual[None], _: Link, session: Session, frame: Frame, *recorded: Any) -> None:
    """SAVE_CHECKPOINT and RESTORE_CHECKPOINT are not written into the journal: a repeat is executed again."""
    if CATALOGUE[frame.opcode].request not in (SaveCheckpoint, RestoreCheckpoint):
        usual(session, frame, *recorded)


@part("link", "_record")
def clearing_not_journalled(usual: Usual[None], _: Link, session: Session, frame: Frame, *recorded: Any) -> None:
    """CLEAR_FAULT is not written into the journal."""
    if CATALOGUE[frame.opcode].request is not ClearFault:
        usual(session, frame, *recorded)


@answering(FactoryReset)
def factory_reset_empties_the_journal(answer: Message, context: Context) -> Message:
    """FACTORY_RESET forgets the transactions before it."""
    put(context.device.memory, _journals=Journals())
    return answer
