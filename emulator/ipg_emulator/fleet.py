"""Many devices in one process: what each of them gets of an option, and the open files that all of them need."""

from __future__ import annotations

import msgspec

from ipg_emulator.argument_types import HIGHEST_PORT
from ipg_emulator.launch import CAPTURE_SUFFIX, LIVE_TRACE, NETWORK_KINDS, NewDevice, Wanted
from ipg_emulator.ports import PortError

PLACE = "{}"
"""Where in a path the number of the device goes; at the end if it does not say."""
FILES_OF_A_DEVICE = 6
"""At most: two ends of its port and the lock of its link, an image, a record and a trace."""
FILES_OF_THE_PROCESS = 32


def path_of(path: str, number: int) -> str:
    """The path that one device of several gets, with its number in it; a capture's stays known by its end."""
    if PLACE not in path:
        path = f"{path[: -len(CAPTURE_SUFFIX)]}{PLACE}{CAPTURE_SUFFIX}" if path.endswith(CAPTURE_SUFFIX) else path + PLACE
    return path.replace(PLACE, str(number))


def tcp_port_of(first: int, number: int) -> int:
    """The TCP port of a device, counted from that of the first; 0, for any that is free, is so for all.

    Raises:
        PortError: there are no ports that high.
    """
    port = first and first + number
    if port > HIGHEST_PORT:
        raise PortError(f"from port {first} on there are {HIGHEST_PORT - first + 1} ports; begin lower, or with 0 for any free")
    return port


def numbered(first: Wanted, devices: int) -> list[Wanted]:
    """So many devices like the first: each with a seed, a port and files of its own, but all from the same snapshot.

    Raises:
        PortError: there are no ports that high.
    """
    return [_of_number(first, number) for number in range(devices)]


def _of_number(first: Wanted, number: int) -> Wanted:
    changed: dict[str, object] = {
        name: path_of(path, number)
        for name in ("link", "record", "trace")
        if (path := getattr(first, name)) is not None and path != LIVE_TRACE
    }
    changed |= {kind: tcp_port_of(port, number) for kind in NETWORK_KINDS if (port := getattr(first, kind)) is not None}
    device = first.device
    if isinstance(device, NewDevice):
        nvm = device.nvm and path_of(device.nvm, number)
        changed["device"] = msgspec.structs.replace(device, seed=device.seed + number, nvm=nvm)
    return msgspec.structs.replace(first, **changed)


def allow_open_files(devices: int) -> None:
    """Raise the soft limit of open files as far as so many devices need.

    Raises:
        PortError: the hard limit is too low.
    """
    try:
        import resource
    except ImportError:  # a system without such limits
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = devices * FILES_OF_A_DEVICE + FILES_OF_THE_PROCESS
    if hard != resource.RLIM_INFINITY and needed > hard:
        most = max(1, (hard - FILES_OF_THE_PROCESS) // FILES_OF_A_DEVICE)
        raise PortError(
            f"{devices} devices need {needed} open files, and this process may have {hard}: run at most {most}, "
            f"or raise the hard limit (`ulimit -Hn {needed}` as root)"
        )
    if soft != resource.RLIM_INFINITY and needed > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
