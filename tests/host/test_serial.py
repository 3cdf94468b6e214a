"""Ports: opening them, what is said when that fails, and bytes through a pseudo-terminal."""

from __future__ import annotations

import os
import pty
import socket

import pytest
from ipg_host import Client, procedures
from ipg_host.errors import LinkLost, PortError, PortInUse
from ipg_host.serial import DescriptorLink, PortLink, link_to, open_port
from ipg_protocol import Reply, ResponseFlag, Status, encode_frame, reply_frame
from ipg_protocol.commands.power import Battery, BatteryTier

BATTERY = Battery(4100, 998, BatteryTier.OK, 37_000, 15)
ANSWER = encode_frame(reply_frame(0x0501, 1, Reply(Status.OK, ResponseFlag(0), BATTERY)))


@pytest.fixture
def terminal():
    """The device's end of a pseudo-terminal, and the path of the host's."""
    device, host = pty.openpty()
    yield device, os.ttyname(host)
    for descriptor in (device, host):
        try:
            os.close(descriptor)
        except OSError:
            continue


def test_a_terminal_is_read_through_its_descriptor(terminal):
    device, path = terminal
    port = open_port(path)
    assert isinstance(link_to(port), DescriptorLink)
    with Client(port) as client:
        os.write(device, ANSWER)
        assert client.run(procedures.battery()) == BATTERY


def test_a_port_with_its_own_clock_is_run_on_it(scripted):
    link = link_to(scripted)
    assert isinstance(link, PortLink)
    assert link.virtual
    assert link.read(250_000) == b""
    assert link.now() == 250_000


def test_a_second_program_is_told_that_the_port_is_in_use(terminal):
    _, path = terminal
    with Client(open_port(path)), pytest.raises(PortInUse, match=f"{path} is in use by another program"):
        open_port(path)


def test_a_device_that_vanishes_is_a_lost_link():
    device, host = pty.openpty()
    link = link_to(open_port(os.ttyname(host)))
    os.close(device)
    os.close(host)
    with pytest.raises(LinkLost):
        link.read(0)
    link.close()


def test_a_port_that_breaks_is_a_lost_link(scripted):
    scripted.broken = True
    with pytest.raises(LinkLost, match="Input/output error"):
        link_to(scripted).read(0)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("/nonexistent/port", "cannot open /nonexistent/port: No such file or directory"),
        ("foo://x", "cannot open foo://x: invalid URL, protocol 'foo' not known"),
        ("/", "cannot open /: it is a directory, not a serial port"),
        (__file__, "it is a file, not a serial port"),
        ("socket://x", "cannot open socket://x: write it as socket://HOST:PORT, such as socket://127.0.0.1:5000"),
        ("socket://x:many", "write it as socket://HOST:PORT"),
        ("rfc2217://:4000", "write it as rfc2217://HOST:PORT"),
        ("ipg://no-such-model", "unknown model 'no-such-model'"),
    ],
)
def test_a_port_that_cannot_be_opened_says_why(name, message):
    with pytest.raises(PortError, match=message):
        open_port(name)


def test_small_frames_are_not_held_back_on_tcp():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = open_port(f"socket://127.0.0.1:{server.getsockname()[1]}")
        link_to(port)
        with socket.socket(fileno=os.dup(port.fileno())) as connection:
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        port.close()
