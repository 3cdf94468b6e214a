"""The commands and events, one module per feature. Importing this package fills the catalogue."""

from ipg_protocol.commands import link, log, measurement, modes, power, programs, sensing, session, therapy

__all__ = ["link", "log", "measurement", "modes", "power", "programs", "sensing", "session", "therapy"]
