"""Many devices in one process: what each of them gets of an option, and the open files that all of them need."""

from __future__ import annotations

from ipg_emulator.ports import PortError

PLACE = "{}"
"""Where in a path the number of the device goes; at the end if it does not say."""
FILES_OF_A_DEVICE = 6
"""At most: two ends of its port, and a lock, a record and an image with its own."""
FILES_OF_THE_PROCESS = 32
LAST_TCP_PORT = 65_535


def path_of(path: str, number: int) -> str:
    """The path that one device of several gets, with its number in it."""
    return path.replace(PLACE, str(number)) if PLACE in path else f"{path}{number}"


def tcp_port_of(first: int, number: int) -> int:
    """The TCP port of a device, counted from that of the first; 0, for any that is free, is so for all.

    Raises:
        PortError: there are no ports that high.
    """
    port = first and first + number
    if port > LAST_TCP_PORT:
        raise PortError(
            f"from port {first} on there are {LAST_TCP_PORT - first + 1} ports; begin lower, or with 0 for any free"
        )
    return port


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
            f"--devices {devices} needs {needed} open files, and this process may have {hard}: run at most {most}, "
            f"or raise the hard limit (`ulimit -Hn {needed}` as root)"
        )
    if soft != resource.RLIM_INFINITY and needed > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
