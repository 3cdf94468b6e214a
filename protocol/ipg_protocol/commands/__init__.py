"""The commands and events, one module per feature. Importing this package fills the catalogue."""

from ipg_protocol.commands import link, log, measurement, power, programs, session, therapy

__all__ = ["link", "log", "measurement", "power", "programs", "session", "therapy"]
