"""Messages: both executions of a layout agree, and an error names its field."""

from __future__ import annotations

import io
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ipg_protocol import CATALOGUE, EVENTS, REFUSAL_DETAIL, Message, WireError, decode, encode
from ipg_protocol.commands.link import (
    CapabilityPage,
    DeviceStatus,
    Identity,
    SelfTestItem,
    SelfTestReport,
    TransactionOutcome,
    TransactionReport,
)
from ipg_protocol.commands.programs import (
    AreaSettings,
    BeginProgramWrite,
    ContactShare,
    ProgramPage,
    ProgramSummary,
    Waveform,
    WriteProgramBlock,
)
from ipg_protocol.commands.session import OpenSession
from ipg_protocol.commands.therapy import SetAmplitude, StopMode, StopTherapy
from ipg_protocol.vocabulary import Role, State
from ipg_protocol.wire import Field, field_names, fields, is_fixed, layout, minimum_size

MESSAGES = sorted(
    {command.request for command in CATALOGUE.values()}
    | {command.response for command in CATALOGUE.values()}
    | {event.message for event in EVENTS.values()}
    | set(REFUSAL_DETAIL.values()),
    key=lambda message: message.__name__,
)
AREA = AreaSettings(0, Waveform.TONIC_ACTIVE_RECHARGE, 2, 210, 4000, 40000, 1, 0, 0, 0, 0, 0, 8000, (ContactShare(3, -1000),))


def values_of(field: Field) -> st.SearchStrategy[Any]:
    """Every kind of value that a field can hold."""
    if field.row is not None:
        return st.lists(messages_of(field.row), max_size=4).map(tuple)
    if field.nested is not None:
        return messages_of(field.nested)
    if field.enum is not None:
        return st.sampled_from(list(field.enum))
    if field.type_name.startswith("text"):
        size = struct.calcsize(field.code)
        return st.text(max_size=size).filter(lambda text: not text.endswith("\0") and len(text.encode()) <= size)
    if not field.code:
        return st.binary(max_size=40)
    bits = 8 * struct.calcsize(field.code)
    low = -(1 << (bits - 1)) if field.code.islower() else 0
    return st.integers(low, low + (1 << bits) - 1)


def messages_of(message: type[Message]) -> st.SearchStrategy[Message]:
    return st.builds(message, *[values_of(field) for field in fields(message)])


def as_raw(message: Message) -> dict[str, Any]:
    """What the construct declaration takes: written here anew, so that the codec's own conversion is checked too."""
    raw: dict[str, Any] = {}
    for field in fields(type(message)):
        value = getattr(message, field.name)
        if field.row is not None:
            raw[field.name] = [as_raw(row) for row in value]
        elif field.nested is not None:
            raw[field.name] = as_raw(value)
        elif isinstance(value, str):
            raw[field.name] = value.encode().ljust(struct.calcsize(field.code), b"\0")
        else:
            raw[field.name] = value
    return raw


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.__name__)
@given(data=st.data())
def test_codec_and_construct_give_the_same_bytes_and_the_same_message(message: type[Message], data: st.DataObject) -> None:
    value = data.draw(messages_of(message))
    payload = encode(value)
    assert payload == layout(message).build(as_raw(value))
    assert decode(message, payload) == value
    assert len(payload) >= minimum_size(message)


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.__name__)
@given(data=st.data())
def test_whatever_bytes_decode_encode_to_themselves(message: type[Message], data: st.DataObject) -> None:
    size = minimum_size(message)
    payload = data.draw(st.binary(min_size=size, max_size=size if is_fixed(message) else size + 20))
    try:
        value = decode(message, payload)
    except WireError:
        return
    if "text" not in "".join(field.type_name for field in fields(message)):
        assert encode(value) == payload
    assert decode(message, encode(value)) == value


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.__name__)
def test_a_payload_one_byte_short_or_long_is_refused_with_the_size(message: type[Message]) -> None:
    payload = bytes(minimum_size(message))
    for wrong in (payload[:-1], payload + b"\0"):
        if wrong != payload:
            with pytest.raises(WireError) as caught:
                decode(message, wrong)
            assert (caught.value.field, caught.value.expected) == (None, len(payload))


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.__name__)
def test_the_construct_declaration_reads_as_many_bytes_as_the_message_has(message: type[Message]) -> None:
    stream = io.BytesIO(bytes(minimum_size(message) + 5))
    layout(message).parse_stream(stream)
    assert stream.tell() == minimum_size(message)


@pytest.mark.parametrize(
    ("message", "payload", "field"),
    [
        (StopTherapy, b"\x02", "mode"),
        (OpenSession, b"\x04" + bytes(12), "role"),
        (DeviceStatus, bytes(4) + b"\x00\x80" + bytes(12), "alerts"),
        (Identity, bytes(6) + b"\xff" * 32 + bytes(32), "model"),
        (WriteProgramBlock, b"\x00\x00\x09" + bytes(37), "waveform"),
        (CapabilityPage, b"\x01\x00\x01\xff" + bytes(14), "rows"),
    ],
    ids=["enum", "first field", "flags", "text", "nested", "rows"],
)
def test_a_value_that_the_type_does_not_have_is_refused_by_field(message: type[Message], payload: bytes, field: str) -> None:
    with pytest.raises(WireError) as caught:
        decode(message, payload)
    assert caught.value.field == field
    assert field in str(caught.value)


@pytest.mark.parametrize(
    ("message", "field"),
    [
        (SetAmplitude(1, 256, 0), "area"),
        (SetAmplitude(1, 0, -1), "amplitude_microamps"),
        (SetAmplitude(1, 0, "2 mA"), "amplitude_microamps"),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        (BeginProgramWrite(0, 1, "seventeen letters"), "name"),
        (BeginProgramWrite(0, 1, "zero\0"), "name"),
        (BeginProgramWrite(0, 1, "\ud800"), "name"),
        (WriteProgramBlock(300, AREA), "program"),
        (
            WriteProgramBlock(0, AreaSettings(0, Waveform.TONIC_ACTIVE_RECHARGE, 0, 70000, 0, 0, 1, 0, 0, 0, 0, 0, 0, ())),
            "pulse_width_us",
        ),
        (
            WriteProgramBlock(
                0, AreaSettings(0, Waveform.TONIC_ACTIVE_RECHARGE, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, (ContactShare(0, 40000),))
            ),
            "contacts",
        ),
        (ProgramPage(1, 0, (ProgramSummary(0, 1, 1, "x" * 17),)), "rows"),
        (ProgramPage(1, 0, (ProgramSummary(0, 0, 1, ""),) * 256), "rows"),
        (TransactionReport(TransactionOutcome.COMMITTED, 1, bytes(256)), "answer"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_a_value_that_does_not_fit_is_refused_by_field(message: Message, field: str) -> None:
    with pytest.raises(WireError) as caught:
        encode(message)
    assert caught.value.field == field
    assert field in str(caught.value)


def test_text_keeps_letters_of_two_bytes_and_drops_the_filling() -> None:
    summary = ProgramPage(1, 0, (ProgramSummary(0, 1, 1, "Jambe é"),))
    assert decode(ProgramPage, encode(summary)) == summary
    assert encode(summary).endswith("Jambe é".encode() + bytes(8))


def test_flags_decode_to_their_type_and_combine() -> None:
    report = decode(SelfTestReport, b"\x0b\x00\x04\x00")
    assert report.passed is SelfTestItem.PROGRAM_STORAGE | SelfTestItem.BATTERY | SelfTestItem.TEMPERATURE
    assert isinstance(report.failed, SelfTestItem)


def test_enumerations_decode_to_members() -> None:
    assert decode(StopTherapy, b"\x01").mode is StopMode.IMMEDIATE
    assert decode(OpenSession, b"\x03" + bytes(12)).role is Role.SERVICE
    assert decode(DeviceStatus, b"\x04" + bytes(17)).state is State.THERAPY


def test_fields_go_on_counting_inside_a_nested_message() -> None:
    names = field_names(WriteProgramBlock)
    assert names.index("program") == 0
    assert names.index("area") == 1
    assert names.index("pulse_width_us") == 4
    assert names.index("contacts") == 14


def test_rows_may_stand_only_at_the_end() -> None:
    class Misplaced(Message, frozen=True):
        contacts: tuple[ContactShare, ...]
        area: Waveform

    Misplaced.__annotations__ = {"contacts": tuple[ContactShare, ...], "area": Waveform}
    with pytest.raises(TypeError, match="must be the last field"):
        fields(Misplaced)


def test_a_field_without_a_wire_type_is_refused() -> None:
    class Floating(Message, frozen=True):
        current: float

    with pytest.raises(TypeError, match="no wire layout"):
        fields(Floating)
