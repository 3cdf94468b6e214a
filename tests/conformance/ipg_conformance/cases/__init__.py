"""The cases, one module per feature. Importing this package fills `CASES`, in the order in which they run."""

from ipg_conformance.cases import (
    adjusting,
    events,
    faults,
    framing,
    gates,
    identity,
    log,
    measurement,
    numbering,
    parameters,
    power,
    programs,
    session,
    therapy,
    transactions,
)

__all__ = [
    "adjusting",
    "events",
    "faults",
    "framing",
    "gates",
    "identity",
    "log",
    "measurement",
    "numbering",
    "parameters",
    "power",
    "programs",
    "session",
    "therapy",
    "transactions",
]
