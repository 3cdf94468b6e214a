"""Talk to an implantable pulse generator over any serial port: `connect("./ipg0").run(procedures.status())`.

The asyncio client is `ipg_host.aio`.
"""

from ipg_host import procedures
from ipg_host.client import Client, connect
from ipg_host.conversation import Pause, Procedure, ask, pause
from ipg_host.errors import (
    BadCircuit,
    Busy,
    Conflict,
    DoesNotFit,
    FaultLatched,
    GarbageAnswer,
    InputError,
    IpgError,
    LinkError,
    LinkLost,
    MeasurementInterrupted,
    NoAnswer,
    NotAsWritten,
    NotPermitted,
    NotSupported,
    OutcomeUnknown,
    OutOfRange,
    PortError,
    PortInUse,
    Refused,
    SessionLost,
    Unsafe,
    WrongState,
)
from ipg_host.programs import Program

__all__ = [
    "BadCircuit",
    "Busy",
    "Client",
    "Conflict",
    "DoesNotFit",
    "FaultLatched",
    "GarbageAnswer",
    "InputError",
    "IpgError",
    "LinkError",
    "LinkLost",
    "MeasurementInterrupted",
    "NoAnswer",
    "NotAsWritten",
    "NotPermitted",
    "NotSupported",
    "OutOfRange",
    "OutcomeUnknown",
    "Pause",
    "PortError",
    "PortInUse",
    "Procedure",
    "Program",
    "Refused",
    "SessionLost",
    "Unsafe",
    "WrongState",
    "ask",
    "connect",
    "pause",
    "procedures",
]
