"""Opening, keeping and closing the session."""

from __future__ import annotations

from ipg_protocol.commands.session import CloseSession, KeepAlive, OpenSession, Session, SessionTime
from ipg_protocol.refusal import Done

from ipg_emulator.firmware.dispatch import Context, handles


@handles(OpenSession)
def open_session(request: OpenSession, context: Context) -> Session:
    return context.link.open_session(request, context.now)


@handles(CloseSession)
def close_session(_: CloseSession, context: Context) -> Done:
    context.link.close_session(None, context.now)
    return Done()


@handles(KeepAlive)
def keep_alive(_: KeepAlive, context: Context) -> SessionTime:
    return SessionTime(context.link.idle_timeout_ms)
