"""A second client at a TCP port: the cases on a device that sends it away as it must, and on ones that do not."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator

import pytest
from ipg_conformance import CASES, Verdict, open_port, run_cases
from ipg_conformance.expect import Failure, OutOfReach
from ipg_conformance.second_client import SecondClient
from ipg_protocol import encode_frame, event_frame
from ipg_protocol.commands.session import ClosingReason, SessionClosing

EMULATOR = [sys.executable, "-m", "ipg_emulator", "run", "--model", "scs-rechargeable", "--seed", "1", "--tcp", "0"]
PORT_CASES = [case for case in CASES.values() if case.id.startswith("SES/PORT")]
IN_USE = encode_frame(event_frame(SessionClosing(ClosingReason.PORT_IN_USE), 0))


def test_emulator_sends_a_second_client_away_as_it_must() -> None:
    with subprocess.Popen(EMULATOR, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as device:
        assert device.stdout is not None
        port = open_port(device.stdout.readline().split()[-1])
        found = run_cases(port, PORT_CASES)
        port.close()
        device.terminate()
    assert [result.verdict for result in found] == [Verdict.PASS] * 2


def test_port_of_another_kind_is_out_of_reach() -> None:
    found = run_cases(open_port("ipg://scs-rechargeable?seed=1"), PORT_CASES)
    assert {(result.verdict, result.out_of_reach) for result in found} == {(Verdict.NOT_APPLICABLE, True)}
    with pytest.raises(OutOfReach, match="a port that can be opened twice: a socket:// URL"):
        SecondClient("/dev/ttyUSB0")


@pytest.fixture
def serve() -> Iterator[Callable[[bytes, bool], str]]:
    """A port that tells a client so much, and then hangs up or does not; its URL."""
    listener = socket.create_server(("127.0.0.1", 0))
    kept: list[socket.socket] = [listener]

    def start(told: bytes, hangs_up: bool) -> str:
        def answer() -> None:
            client, _ = listener.accept()
            kept.append(client)
            client.sendall(told)
            if hangs_up:
                client.close()

        threading.Thread(target=answer, daemon=True).start()
        host, number = listener.getsockname()
        return f"socket://{host}:{number}"

    yield start
    for each in kept:
        each.close()


def test_what_a_second_client_is_told_is_heard_to_the_end(serve: Callable[[bytes, bool], str]) -> None:
    with SecondClient(serve(IN_USE, True)) as other:
        assert other.heard_to_the_end() == IN_USE


def test_second_client_that_is_told_but_not_disconnected_is_a_failure(
    serve: Callable[[bytes, bool], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ipg_conformance.second_client.TOLD_SECONDS", 0.1)
    with SecondClient(serve(IN_USE, False)) as other, pytest.raises(Failure, match="bytes, and silence"):
        other.heard_to_the_end()
