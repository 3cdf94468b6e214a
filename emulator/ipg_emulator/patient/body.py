"""A patient who moves, breathes and coughs. All of it is a function of time, so that the same script gives the same course."""

from __future__ import annotations

import math

import msgspec

from ipg_emulator.patient.posture import POSTURES, Posture, posture
from ipg_emulator.patient.tissue import Tissue

MOVE_US = 1_000_000
"""How long a change of posture takes."""
COUGH_US = 400_000
COUGH_DEPTH = 0.25
"""How much nearer the cord comes at the height of a cough, as a part of the distance."""
BREATH_HERTZ, BREATH_DEPTH = 0.25, 0.010
HEART_HERTZ, HEART_DEPTH = 1.0, 0.003
STEP_HERTZ = 1.8

_RADIANS_PER_US_HERTZ = 2 * math.pi / 1_000_000


class Patient(msgspec.Struct):
    """One patient with leads implanted. Whoever changes something here then tells the firmware: `board_changed`."""

    tissue: Tissue
    temperature_millicelsius: int = 37_000
    posture: Posture = POSTURES["standing"]
    lead_shift_contacts: float = 0.0
    """How far the leads have migrated: a contact now lies where one so many places farther from the tip used to."""
    came_from: float = 1.0
    moved_at: int = -MOVE_US
    coughed_at: int = -COUGH_US

    def take_posture(self, name: str, now: int) -> None:
        """Move into a posture.

        Raises:
            PostureError: there is no such posture.
        """
        taken = posture(name)
        self.came_from = self._resting_distance(now)
        self.posture = taken
        self.moved_at = now

    def cough(self, now: int) -> None:
        """Cough once."""
        self.coughed_at = now

    def migrate_leads(self, contacts: float) -> None:
        """Shift the leads along the cord by so many contacts. Impedances stay; thresholds and ECAPs change."""
        self.lead_shift_contacts += contacts

    def distance(self, now: int) -> float:
        """From lead to cord, relative to standing at rest: posture, cough, breath, heartbeat and steps."""
        phase = now * _RADIANS_PER_US_HERTZ
        distance = self._resting_distance(now)
        distance *= 1 + BREATH_DEPTH * math.sin(BREATH_HERTZ * phase) + HEART_DEPTH * math.sin(HEART_HERTZ * phase)
        if self.posture.sway_permille:
            distance *= 1 + self.posture.sway_permille / 1000 * math.sin(STEP_HERTZ * phase)
        since_cough = now - self.coughed_at
        if 0 <= since_cough < COUGH_US:
            distance *= 1 - COUGH_DEPTH * math.sin(math.pi * since_cough / COUGH_US)
        return distance

    def _resting_distance(self, now: int) -> float:
        """The posture's, reached from the last one along half a cosine."""
        there = self.posture.distance_permille / 1000
        moving = (now - self.moved_at) / MOVE_US
        if moving >= 1:
            return there
        return self.came_from + (there - self.came_from) * (1 - math.cos(math.pi * max(moving, 0.0))) / 2
