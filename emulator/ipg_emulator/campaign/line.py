"""The line between a device and its host: frames are lost, repeated, late or damaged, as the seed says for each of them."""

from __future__ import annotations

import msgspec

from ipg_emulator.campaign.chance import draws
from ipg_emulator.campaign.history import LineNoise

BASE_DELAY_US = 1_000
"""How long a frame is on the line at least."""

_DRAWS = 65_536


class Traffic(msgspec.Struct):
    """What became of the frames of a line."""

    frames: int = 0
    lost: int = 0
    repeated: int = 0
    corrupted: int = 0

    def add(self, other: Traffic) -> None:
        """Count another line's frames with these."""
        for name in self.__struct_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


class Line:
    """One direction of a line. Frames stay in their order, but for repeats.

    What is drawn for a frame depends on the last action before it and on its number since then, so that an action that is left
    out of a history takes only its own noise along.
    """

    def __init__(self, name: str, noise: LineNoise) -> None:
        """`name` is what the noise is drawn from: the world's seed, the device, the direction."""
        self.traffic = Traffic()
        self._name = name
        self._noise = noise
        self._silent_until = 0
        self._last_arrival = 0
        self._since = 0
        self._number = 0

    def begin(self, at_us: int) -> None:
        """An action of the history happens, at its time."""
        self._since, self._number = at_us, 0

    def fall_silent(self, until: int) -> None:
        """Lose everything that is sent before `until`."""
        self._silent_until = max(self._silent_until, until)

    def heal(self) -> None:
        """Be a good line from now on."""
        self._noise = LineNoise()
        self._silent_until = 0

    def send(self, frame: bytes, now: int) -> list[tuple[int, bytes]]:
        """The copies of a frame that arrive, and when."""
        traffic, noise = self.traffic, self._noise
        traffic.frames += 1
        self._number += 1
        drawn = draws(f"{self._name} {self._since}", self._number)
        if now < self._silent_until or drawn[0] * 1000 < noise.lost_permille * _DRAWS:
            traffic.lost += 1
            return []
        if drawn[1] * 1000 < noise.corrupted_permille * _DRAWS:
            traffic.corrupted += 1
            frame = _flipped(frame, drawn[2])
        self._last_arrival = max(self._last_arrival, now + BASE_DELAY_US + noise.delay_us * drawn[3] // _DRAWS)
        copies = [(self._last_arrival, frame)]
        if drawn[4] * 1000 < noise.repeated_permille * _DRAWS:
            traffic.repeated += 1
            copies.append((self._last_arrival + noise.delay_us * drawn[5] // _DRAWS, frame))
        return copies


def _flipped(frame: bytes, draw: int) -> bytes:
    place, bit = divmod(draw % (8 * len(frame)), 8)
    return frame[:place] + bytes((frame[place] ^ 1 << bit,)) + frame[place + 1 :]
