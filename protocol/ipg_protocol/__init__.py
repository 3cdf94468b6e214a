"""The wire of the virtual IPG: messages, frames and the catalogue of commands. Pure: no I/O, no clock."""

from ipg_protocol import commands
from ipg_protocol.command import (
    CATALOGUE,
    COMMAND_OF,
    EVENT_OF,
    EVENTS,
    Change,
    Command,
    Event,
    Reply,
    Request,
    decode_event,
    decode_reply,
    event_frame,
    reply_frame,
    request_frame,
)
from ipg_protocol.frame import Frame, FrameReader, Kind, Noise, backends, crc32c, encode_frame
from ipg_protocol.refusal import REFUSAL_DETAIL
from ipg_protocol.vocabulary import ResponseFlag, Role, State, Status
from ipg_protocol.wire import Message, WireError, decode, encode

__all__ = [
    "CATALOGUE",
    "COMMAND_OF",
    "EVENTS",
    "EVENT_OF",
    "REFUSAL_DETAIL",
    "Change",
    "Command",
    "Event",
    "Frame",
    "FrameReader",
    "Kind",
    "Message",
    "Noise",
    "Reply",
    "Request",
    "ResponseFlag",
    "Role",
    "State",
    "Status",
    "WireError",
    "backends",
    "commands",
    "crc32c",
    "decode",
    "decode_event",
    "decode_reply",
    "encode",
    "encode_frame",
    "event_frame",
    "reply_frame",
    "request_frame",
]
