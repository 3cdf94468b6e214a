"""The handlers, one module for each module of commands. Importing this package registers them."""

from ipg_emulator.firmware.handlers import link, log, measurement, modes, power, programs, schedule, sensing, session, therapy

__all__ = ["link", "log", "measurement", "modes", "power", "programs", "schedule", "sensing", "session", "therapy"]
