"""The ECAP amplifier: records what the nerve answers, with its own noise, as far as its input reaches."""

from __future__ import annotations

from ipg_protocol.commands.programs import AreaSettings

from ipg_emulator.board import EcapReading
from ipg_emulator.model import Sensing
from ipg_emulator.patient.ecap import Nerve
from ipg_emulator.patient.tissue import Chance


class EcapAmplifier:
    """Records one ECAP for each pulse that it is asked about."""

    def __init__(self, sensing: Sensing, nerve: Nerve, noise: Chance) -> None:
        self._noise_microvolts = sensing.noise_nanovolts / 1000
        self._limit_microvolts = float(sensing.saturation_microvolts)
        self._nerve = nerve
        self._noise = noise

    def record(self, settings: AreaSettings, microamps: int, now: int) -> EcapReading:
        """The nerve's response plus white noise, clipped at the amplifier's limits."""
        evoked = self._nerve.response_microvolts(settings, microamps, now)
        seen = evoked + self._noise.gauss(0.0, self._noise_microvolts)
        clipped = min(max(seen, -self._limit_microvolts), self._limit_microvolts)
        return EcapReading(clipped, self._noise_microvolts, self._nerve.site(settings.contacts).latency_us)
