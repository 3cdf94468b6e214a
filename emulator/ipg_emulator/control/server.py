"""Serves the control channel over HTTP, in a thread beside the devices' loop; what is asked is done in that loop."""

from __future__ import annotations

import os
import socket
import tempfile
import threading
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import msgspec

from ipg_emulator.control.answers import Whereabouts
from ipg_emulator.control.beside import Beside, path_beside, remove_beside, write_beside
from ipg_emulator.control.channel import Channel, ControlChannel
from ipg_emulator.control.token import TokenFile
from ipg_emulator.ports import PortError

if TYPE_CHECKING:
    import uvicorn
    from starlette.types import ASGIApp

    from ipg_emulator.runner import Runner, Station

HOST = "127.0.0.1"
SECONDS_TO_END = 2.0


class ControlServer:
    """The control channel of some stations. It listens from the beginning, and answers from `start` to `close`."""

    def __init__(self, stations: Sequence[Station], port: int, token_file: str | None) -> None:
        """Take the port; without a path for the token file, it will be beside the first link, or among the temporary files.

        Raises:
            PortError: the port cannot be had, or the libraries are missing.
        """
        _check_libraries()
        self._stations = stations
        self._listener = _listen(port)
        self._token_path = token_file
        self._ending = ExitStack()
        self._ending.callback(self._listener.close)

    def serve(self, runner: Runner) -> None:
        """Let the devices' loop do what will be asked."""
        asking, doing = socket.socketpair()
        self._ending.callback(asking.close)
        self._channel = Channel(asking)
        runner.serve(ControlChannel(self._stations, doing.detach()))

    def start(self) -> str:
        """Answer, now that the devices' ports are open; the line that says where.

        Raises:
            PortError: a file that it needs cannot be written.
        """
        from ipg_emulator.control.http import application

        devices = [_whereabouts(number, station) for number, station in enumerate(self._stations)]
        links = {device.port: device for device in devices if os.path.islink(device.port)}
        token = TokenFile(self._token_path or self._default_path(links))
        self._ending.callback(token.remove)
        token.write()
        url = f"http://{HOST}:{self._listener.getsockname()[1]}"
        for link, device in links.items():
            self._put_beside(link, Beside(url, token.path, device.device))
        self._run(application(self._channel.ask, devices, token.token))
        return f"CONTROL {url} token {token.path}"

    def close(self) -> None:
        """End, and leave no file behind."""
        self._ending.close()

    def _default_path(self, links: Iterable[str]) -> str:
        for link in links:
            return f"{link}.token"
        folder = self._ending.enter_context(tempfile.TemporaryDirectory(prefix="ipg-control-"))
        return os.path.join(folder, "token")

    def _put_beside(self, link: str, beside: Beside) -> None:
        try:
            write_beside(link, beside)
        except OSError as error:
            raise PortError(f"--control: {path_beside(link)}: {error.strerror}") from error
        except msgspec.DecodeError:
            told = "there is a file of that name that holds something else; give another --link"
            raise PortError(f"--control: {path_beside(link)}: {told}") from None
        self._ending.callback(remove_beside, link, beside)

    def _run(self, app: ASGIApp) -> None:
        import uvicorn

        plain: dict[str, Any] = {"lifespan": "off", "loop": "asyncio", "ws": "none", "proxy_headers": False}
        # What is no HTTP is refused, and is no concern of who runs the device; a bug of ours is.
        config = uvicorn.Config(app, log_config=None, log_level="error", access_log=False, **plain)
        server = uvicorn.Server(config)
        server.force_exit = True  # whoever listens to events would never go
        arguments = {"sockets": [self._listener]}
        thread = threading.Thread(target=server.run, kwargs=arguments, name="ipg-control", daemon=True)
        thread.start()
        self._ending.callback(_end, server, thread)


def _end(server: uvicorn.Server, thread: threading.Thread) -> None:
    server.should_exit = True
    thread.join(SECONDS_TO_END)


def _whereabouts(number: int, station: Station) -> Whereabouts:
    """Where the device of a station is, once its port is open."""
    firmware = station.ipg.firmware
    return Whereabouts(number, firmware.model.name, firmware.serial, station.port.address)


def _check_libraries() -> None:
    try:
        import starlette
        import uvicorn
    except ImportError:
        raise PortError("--control needs starlette and uvicorn: pip install 'virtual-ipg[control]'") from None
    del starlette, uvicorn


def _listen(port: int) -> socket.socket:
    """Listen on the loopback, on a socket that says that it is TCP: asyncio lets no answer wait on one of those alone."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((HOST, port))
        listener.listen()
    except OSError as error:
        listener.close()
        raise PortError(f"--control {port}: {error.strerror}; give a port that is free, or 0 for any") from error
    return listener
