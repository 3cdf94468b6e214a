"""How much time passes on a device between two requests, as far as a host can tell that does not know the line."""

from __future__ import annotations

from typing import Generic, NamedTuple, TypeVar

from ipg_protocol import Message, Request

from ipg_conformance.device import Device
from ipg_conformance.expect import expect_that

R = TypeVar("R", bound=Message)
R_co = TypeVar("R_co", bound=Message, covariant=True)


class Timed(NamedTuple, Generic[R_co]):
    """An answer, when its request was sent, and when it was there; the device gave it at some time between."""

    answer: R_co
    asked: float
    answered: float

    def since(self, earlier: Timed[Message]) -> Seconds:
        """How long after an earlier request this one was served."""
        return Seconds(self.asked - earlier.answered, self.answered - earlier.asked)


class Seconds(NamedTuple):
    """So many at least, and at most."""

    least: float
    most: float

    def expect(self, what: str, seconds: float, tolerance: float) -> None:
        """Fail unless a time of the device's is this one, give or take a tolerance."""
        words = f"{what} is {self.least - tolerance:.3f} to {self.most + tolerance:.3f} s"
        expect_that(words, self.least - tolerance <= seconds <= self.most + tolerance, seconds)


def timed(device: Device, message: Request[R]) -> Timed[R]:
    """Ask as `device.ask`, and note the time."""
    asked = device.tester.clock()
    return Timed(device.ask(message), asked, device.tester.clock())
