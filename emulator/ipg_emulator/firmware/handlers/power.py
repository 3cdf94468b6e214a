"""Reading the battery."""

from __future__ import annotations

from ipg_protocol.commands.power import Battery, GetBattery

from ipg_emulator.firmware.dispatch import Context, handles


@handles(GetBattery)
def get_battery(_: GetBattery, context: Context) -> Battery:
    device, now = context.device, context.now
    reading = device.read_battery(now)
    return Battery(
        millivolts=reading.millivolts,
        charge_permille=reading.charge_permille,
        tier=device.battery.tier,
        temperature_millicelsius=device.board.temperature_millicelsius(now),
        drain_microamps=reading.drain_microamps,
    )
