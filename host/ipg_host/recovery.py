"""How a session gets over silence and lost sessions: what is done about which request, how often, and when it is given up.

A change is sent again only when the device says that it has not seen its transaction; its outcome is else unknown, never
"failed". The session is opened again for that, unless another host has taken the device over.
"""

from __future__ import annotations

from enum import Enum, auto, unique
from typing import Any, NamedTuple, TypeVar, cast

import msgspec
from ipg_protocol import COMMAND_OF, Change, Message, Reply, State, Status, WireError, decode
from ipg_protocol.command import is_change
from ipg_protocol.commands.link import TransactionOutcome, TransactionReport, TransactionStatus
from ipg_protocol.commands.session import OpenSession
from ipg_protocol.refusal import StateDetail

from ipg_host.errors import IpgError, OutcomeUnknown
from ipg_host.exchange import Exchange, Sort, Trouble

R = TypeVar("R", bound=Message)


@unique
class Remedy(Enum):
    """What is done about trouble."""

    NONE = auto()
    """Whoever waits is told."""
    AGAIN = auto()
    """The request is sent again."""
    ASK = auto()
    """The device is asked what became of the transaction."""


SILENCES = 2
LOST_SESSIONS = 8
STALE_ANSWERS = 8

_REMEDIES: dict[tuple[Sort, Trouble], tuple[Remedy, int]] = {
    (Sort.CHANGE, Trouble.SILENCE): (Remedy.ASK, SILENCES),
    (Sort.CHANGE, Trouble.NO_SESSION): (Remedy.ASK, LOST_SESSIONS),
    (Sort.REPEATABLE, Trouble.NO_SESSION): (Remedy.AGAIN, LOST_SESSIONS),
    (Sort.OWN, Trouble.SILENCE): (Remedy.AGAIN, SILENCES),
    (Sort.OWN, Trouble.NO_SESSION): (Remedy.AGAIN, LOST_SESSIONS),
    (Sort.CHANGE, Trouble.STALE): (Remedy.ASK, STALE_ANSWERS),
    (Sort.REPEATABLE, Trouble.STALE): (Remedy.AGAIN, STALE_ANSWERS),
    (Sort.OWN, Trouble.STALE): (Remedy.AGAIN, STALE_ANSWERS),
}
"""The remedy, and how often it is tried on one request; each is tried in a session opened anew, but where only an answer is
stale: there in the one that is open.
"""


def remedy(exchange: Exchange[Any], trouble: Trouble) -> Remedy:
    """What to do about the trouble that a request has met; it is counted."""
    exchange.troubles += (trouble,)
    found, times = _REMEDIES.get((exchange.sort, trouble), (Remedy.NONE, 0))
    return found if exchange.troubles.count(trouble) <= times else Remedy.NONE


def is_booting(reply: Reply) -> bool:
    """Whether the device refuses only because it boots, and will take the request in a moment."""
    return reply.status is Status.WRONG_STATE and isinstance(reply.body, StateDetail) and reply.body.state is State.BOOT


class Doubt(NamedTuple):
    """A change whose outcome is not known, and the question about it."""

    exchange: Exchange[Any]
    change: Change[Any]
    question: Exchange[TransactionReport]

    def resolve(self) -> Message | None:
        """The change's answer, now that the question has its own; None when it is to be sent again.

        Raises:
            OutcomeUnknown: it cannot be told.
        """
        try:
            report = self.question.result()
        except IpgError as error:
            raise OutcomeUnknown(self.change, f"what became of it could not be asked: {error}") from error
        return committed_answer(self.change, report)


def doubt_about(exchange: Exchange[Any]) -> Doubt:
    """The question to ask about a change."""
    change = exchange.request
    assert is_change(change), "what carries no transaction cannot be asked about"
    return Doubt(exchange, change, Exchange(TransactionStatus(transaction=change.transaction), is_own=True))


def reopening(opened: OpenSession, fraction: float) -> OpenSession:
    """The request that opens a session like one that was open: its nonce is another, or it would count as a repeat.

    `fraction`, from 0 to 1, is drawn anew each time.
    """
    return msgspec.structs.replace(opened, nonce=(opened.nonce + 1 + int(fraction * 2**32)) % 2**32)


def committed_answer(change: Change[R], report: TransactionReport) -> R | None:
    """The answer that a change got when it was committed; None when the device has not seen it.

    Raises:
        OutcomeUnknown: the device has forgotten, or what it has under this number is not the answer to such a command.
    """
    command = COMMAND_OF[type(change)]
    match report.outcome:
        case TransactionOutcome.NOT_SEEN:
            return None
        case TransactionOutcome.FORGOTTEN:
            raise OutcomeUnknown(change, "the device does not keep what became of it any more")
        case TransactionOutcome.COMMITTED:
            if report.opcode != command.opcode:
                raise OutcomeUnknown(change, f"its number was used for another command, {report.opcode:#06x}")
    try:
        return cast("R", decode(command.response, report.answer))
    except WireError as error:
        raise OutcomeUnknown(change, f"it was carried out, but the answer kept of it cannot be read: {error}") from error
