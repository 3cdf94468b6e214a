"""Expectations: what a case asks of an answer, and what it ends with when that is not so."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

import msgspec
from ipg_protocol import Message, Reply, Status, encode

from ipg_conformance.permission import Permission
from ipg_conformance.wording import refusal_text, shown

M = TypeVar("M", bound=Message)


class Failure(Exception):
    """The device did not do what a requirement says; the bytes are given where it shows in a payload."""

    def __init__(
        self, what: str, *, expected: object, got: object, expected_bytes: bytes = b"", got_bytes: bytes = b""
    ) -> None:
        self.what = what
        self.expected = shown(expected)
        self.got = shown(got)
        super().__init__(f"{what}: expected {self.expected}, got {self.got}")
        self.expected_bytes = expected_bytes
        self.got_bytes = got_bytes


class NotRecommended(Failure):
    """The device did not do what the specification says it SHOULD."""


class NeverReady(Failure):
    """The device could not be brought to the state in which cases begin."""


class NotApplicable(Exception):
    """The case asks for something that this device does not have or cannot be brought to."""


class OutOfReach(NotApplicable):
    """The case asks for something that this run may not or cannot do; the device might well pass it."""


class NotAllowed(OutOfReach):
    """The case does to the device what the run may not do."""

    def __init__(self, permissions: Iterable[Permission]) -> None:
        super().__init__(f"not allowed: --allow {','.join(sorted(permissions))}")


class Inconclusive(Exception):
    """The environment did not let the case come to an end, which says nothing of the device."""


def expect(what: str, got: object, expected: object) -> None:
    """Fail unless the two are equal."""
    if got != expected:
        raise Failure(what, expected=expected, got=got, expected_bytes=_bytes(expected), got_bytes=_bytes(got))


def expect_that(what: str, holds: bool, got: object) -> None:
    """Fail unless `holds`; `what` says what must hold."""
    if not holds:
        raise Failure(what, expected=what, got=got)


def expect_recommended(what: str, holds: bool, got: object) -> None:
    """Not as strict as `expect_that`: what the specification says a device SHOULD do."""
    if not holds:
        raise NotRecommended(what, expected=what, got=got)


def expect_ok(reply: Reply, answer: type[M], what: str = "the request is accepted") -> M:
    """The answer of an accepted request; fails on a refusal."""
    if reply.status is not Status.OK or not isinstance(reply.body, answer):
        raise Failure(
            what,
            expected="OK",
            got=reply,
            expected_bytes=bytes([Status.OK]),
            got_bytes=_bytes(reply),
        )
    return reply.body


def expect_refusal(what: str, reply: Reply, status: Status, **detail: object) -> Message:
    """The detail of a refused request; fails unless status and the named parts of the detail are as given."""
    found = {name: getattr(reply.body, name, None) for name in detail}
    if reply.status is not status or found != detail:
        is_detail = reply.status is status and None not in found.values()
        right = msgspec.structs.replace(reply, body=msgspec.structs.replace(reply.body, **detail)) if is_detail else None
        raise Failure(
            what,
            expected=refusal_text(status, detail, reply.body.__struct_fields__),
            got=reply,
            expected_bytes=_bytes(right) or bytes([status]),
            got_bytes=_bytes(reply),
        )
    return reply.body


def _bytes(value: object) -> bytes:
    """The bytes of a payload, where a value is one or stands for one."""
    match value:
        case bytes():
            return value
        case Reply():
            return bytes([value.status, value.flags]) + encode(value.body)
        case Message():
            return encode(value)
        case _:
            return b""
