"""REQ-ECP-001 and 005: recorded ECAPs, and their stream."""

from __future__ import annotations

from itertools import pairwise

from ipg_protocol import State, Status
from ipg_protocol.commands.link import Capability
from ipg_protocol.commands.programs import AreaSettings
from ipg_protocol.commands.sensing import (
    EcapSamples,
    ReadFeedback,
    RecordEcap,
    StartEcapStream,
    StopEcapStream,
)
from ipg_protocol.commands.therapy import ReadTherapy, StopMode, StopTherapy

from ipg_conformance.areas import largest_safe
from ipg_conformance.case import Profile, case
from ipg_conformance.device import Device
from ipg_conformance.expect import Failure, NotApplicable, expect, expect_refusal, expect_that
from ipg_conformance.states import bring_to
from ipg_conformance.wording import shown

NO_AREA = 0xFF
LEVELS = 6
EVOKED_MICROVOLTS = 15
EVOKED_NOISES = 4
PULSES_PER_SAMPLE = 4
BATCH_SECONDS = 5.0


def evoking_area(device: Device) -> tuple[AreaSettings, int]:
    """The area with the least of some amplitudes that evokes an ECAP well above the noise, running, and its ECAP in microvolts.

    Raises:
        NotApplicable: none does: the electrodes are not at a nerve.
    """
    device.need(RecordEcap)
    most = device.capabilities.range(Capability.AMPLITUDE_MICROAMPS).maximum
    highest = largest_safe(
        device.typical(), "amplitude_microamps", Capability.AMPLITUDE_MICROAMPS, most, device.capabilities
    ).amplitude_microamps
    for level in range(1, LEVELS + 1):
        amplitude = device.capabilities.range(Capability.AMPLITUDE_MICROAMPS).below(highest * level // LEVELS)
        area = device.typical(amplitude_microamps=amplitude, patient_maximum_microamps=amplitude)
        device.request(StopTherapy(StopMode.IMMEDIATE))
        device.run_therapy(area)
        ecaps = [device.ask(RecordEcap(0)) for _ in range(3)]
        least = min(ecap.microvolts for ecap in ecaps)
        if least > max(EVOKED_MICROVOLTS, *(EVOKED_NOISES * ecap.noise_microvolts for ecap in ecaps)):
            return area, least
    raise NotApplicable("no amplitude that is safe evokes an ECAP")


@case("ECP/RECORD/BV-01", "REQ-ECP-001")
def ecap_names_its_amplitude(device: Device) -> None:
    """RECORD_ECAP in THERAPY returns the amplitude that READ_THERAPY says is delivered."""
    device.need(RecordEcap)
    device.run_therapy()
    ecap = device.ask(RecordEcap(0))
    expect("the amplitude", ecap.amplitude_microamps, device.ask(ReadTherapy(0)).delivered_microamps)


@case("ECP/RECORD/BV-02", "REQ-ECP-001")
def ecap_grows_with_the_amplitude(device: Device) -> None:
    """An amplitude that evokes an ECAP evokes more than the lowest one does; its latency is above zero."""
    _, evoked = evoking_area(device)
    latency_us = device.ask(RecordEcap(0)).latency_us
    expect_that("the latency is above zero", latency_us > 0, latency_us)
    device.ask(StopTherapy(StopMode.IMMEDIATE))
    device.run_therapy(device.typical(amplitude_microamps=device.smallest().amplitude_microamps))
    weakest = min(device.ask(RecordEcap(0)).microvolts for _ in range(3))
    expect_that(f"the lowest amplitude evokes less than {evoked} uV", weakest < evoked, weakest)


@case("ECP/RECORD/BI-01", "REQ-ECP-001", "REQ-CMD-007")
def ecap_of_an_area_that_is_not_there(device: Device) -> None:
    """RECORD_ECAP and READ_FEEDBACK beyond the active program's areas are refused with the range of those there are."""
    device.need(RecordEcap, ReadFeedback)
    device.run_therapy()
    for request in (RecordEcap(1), RecordEcap(NO_AREA), ReadFeedback(1)):
        detail = {"field": 0, "minimum": 0, "maximum": 0}
        expect_refusal(shown(request), device.request(request), Status.OUT_OF_RANGE, **detail)


@case("ECP/STREAM/BV-01", "REQ-ECP-005", profile=Profile.FULL)
def samples_count_without_a_gap(device: Device) -> None:
    """ECAP_SAMPLES come as event 0 while the stream is on, each batch beginning where the one before ended; then no more."""
    device.need(StartEcapStream, StopEcapStream)
    device.run_therapy()
    device.ask(StartEcapStream(0, PULSES_PER_SAMPLE))
    batches = collect(device, 3)
    for before, after in pairwise(batches):
        expect("first_sample", after.first_sample, before.first_sample + len(before.rows))
        expect_that("the uptime goes on", after.uptime_ms > before.uptime_ms, (before, after))
    numbers = {number for number, message in device.tester.events if isinstance(message, EcapSamples)}
    expect("the events' numbers", numbers, {0})
    delivered = device.ask(ReadTherapy(0)).delivered_microamps
    expect("the amplitudes", {row.amplitude_microamps for batch in batches for row in batch.rows}, {delivered})
    device.ask(StopEcapStream())
    expect_no_more(device)


def collect(device: Device, count: int) -> list[EcapSamples]:
    """Wait until so many batches have come."""
    deadline = device.tester.clock() + BATCH_SECONDS * count
    while len(found := device.tester.events_of(EcapSamples)) < count:
        if device.tester.clock() >= deadline:
            raise Failure("batches of samples", expected=count, got=found)
        device.tester.listen(0.1)
    return found


def expect_no_more(device: Device) -> None:
    device.forget_events()
    device.tester.listen(1.5)
    expect("samples after the end", device.tester.events_of(EcapSamples), [])


@case("ECP/STREAM/BV-02", "REQ-ECP-005", profile=Profile.FULL)
def samples_come_at_the_rate_asked_for(device: Device) -> None:
    """There is a sample for each so many pulses."""
    device.need(StartEcapStream)
    area = device.typical()
    device.run_therapy(area)
    device.ask(StartEcapStream(0, PULSES_PER_SAMPLE))
    rows = [batch.uptime_ms + row.after_ms for batch in collect(device, 3) for row in batch.rows]
    if len(rows) < 2:
        raise Failure("samples in three batches", expected="at least two", got=rows)
    each_ms = (rows[-1] - rows[0]) / (len(rows) - 1)
    expected_ms = 1e6 * PULSES_PER_SAMPLE / area.rate_millihertz
    expect_that(f"a sample each {expected_ms:.1f} ms", abs(each_ms - expected_ms) <= 0.05 * expected_ms + 1, each_ms)


@case("ECP/STREAM/BV-03", "REQ-ECP-005", each=[("THERAPY", "therapy"), ("SESSION", "session")], profile=Profile.FULL)
def stream_ends_with(device: Device, what: str) -> None:
    """The stream ends with therapy, and with its session: in the next one nothing comes."""
    device.need(StartEcapStream)
    device.run_therapy()
    device.ask(StartEcapStream(0, PULSES_PER_SAMPLE))
    collect(device, 1)
    if what == "therapy":
        device.ask(StopTherapy(StopMode.IMMEDIATE))
    else:
        device.open_session()
    expect_no_more(device)


@case("ECP/STREAM/BI-01", "REQ-ECP-005", "REQ-CMD-007")
def stream_of_what_is_not_there(device: Device) -> None:
    """A stream of an area that is not there, or of each 0th pulse, is refused OUT_OF_RANGE on its field."""
    device.need(StartEcapStream)
    device.write_program(device.typical())
    for field, request in enumerate((StartEcapStream(1, 1), StartEcapStream(0, 0))):
        expect_refusal(shown(request), device.request(request), Status.OUT_OF_RANGE, field=field)


@case("ECP/STREAM/BV-04", "REQ-ECP-005", "REQ-EVT-001")
def stream_leaves_events_alone(device: Device) -> None:
    """While samples stream, nothing is left to acknowledge."""
    device.need(StartEcapStream)
    bring_to(device, State.THERAPY)
    device.ask(StartEcapStream(0, PULSES_PER_SAMPLE))
    collect(device, 1)
    device.tester.listen(0.05)
    expect("events to acknowledge", device.status().unacknowledged_events, 0)
