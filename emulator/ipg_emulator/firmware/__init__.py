"""What runs on the chip: `Firmware` is the whole of it, and everything it needs from outside is an argument."""

from ipg_emulator.firmware.core import Firmware

__all__ = ["Firmware"]
