"""REQ-PRG-005 to 008, REQ-CMD-007: each parameter of a program block at its boundaries, and each unsafe combination."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec
from ipg_protocol import Reply, Request, Status
from ipg_protocol.commands.link import Capability
from ipg_protocol.commands.programs import (
    CASE_CONTACT,
    AreaSettings,
    BeginProgramWrite,
    ContactShare,
    Waveform,
    WriteProgramBlock,
)
from ipg_protocol.refusal import SafetyRule
from ipg_protocol.wire import field_names

from ipg_conformance.capabilities import Range
from ipg_conformance.case import case
from ipg_conformance.device import Device
from ipg_conformance.expect import NotApplicable, expect, expect_refusal, expect_that
from ipg_conformance.safety import IN_BURSTS, broken_rules
from ipg_conformance.wording import shown

ZERO_IS_NONE = ("cycle_on_seconds", "cycle_off_seconds", "intra_burst_millihertz", "dose_seconds")
CONTACTS_FIELD = field_names(WriteProgramBlock).index("contacts")


class Parameter(NamedTuple):
    """A field of an area, the range that it has, and fields that must go with it for its whole range to be safe."""

    field: str
    capability: Capability
    follows: tuple[str, ...] = ()


PARAMETERS = (
    Parameter("ramp_seconds", Capability.RAMP_SECONDS),
    Parameter("pulse_width_us", Capability.PULSE_WIDTH_US),
    Parameter("amplitude_microamps", Capability.AMPLITUDE_MICROAMPS),
    Parameter("rate_millihertz", Capability.RATE_MILLIHERTZ),
    Parameter("burst_pulses", Capability.BURST_PULSES),
    Parameter("intra_burst_millihertz", Capability.INTRA_BURST_MILLIHERTZ),
    Parameter("cycle_on_seconds", Capability.CYCLE_ON_SECONDS),
    Parameter("cycle_off_seconds", Capability.CYCLE_OFF_SECONDS),
    Parameter("dose_seconds", Capability.DOSE_SECONDS),
    Parameter("patient_minimum_microamps", Capability.AMPLITUDE_MICROAMPS, ("patient_maximum_microamps",)),
    Parameter("patient_maximum_microamps", Capability.AMPLITUDE_MICROAMPS),
)


def probing_area(device: Device, parameter: Parameter, value: int) -> AreaSettings:
    """The smallest area with one parameter set, and with it those that must go along."""
    allowed = device.capabilities.range(parameter.capability)
    chosen: dict[str, Any] = {name: min(allowed.nearest(value)) for name in parameter.follows} | {parameter.field: value}
    if "burst" in parameter.field:
        chosen["waveform"] = burst_waveform(device) or device.capabilities.waveforms[0]
    if parameter.field.startswith("cycle"):
        shortest = {
            "cycle_on_seconds": device.capabilities.range(Capability.CYCLE_ON_SECONDS).minimum,
            "cycle_off_seconds": device.capabilities.range(Capability.CYCLE_OFF_SECONDS).minimum,
        }
        chosen = shortest | chosen
    return device.smallest(**chosen)


def burst_waveform(device: Device) -> Waveform | None:
    """A waveform in bursts, if the device has one."""
    return next((waveform for waveform in device.capabilities.waveforms if waveform in IN_BURSTS), None)


def stands_for_none(parameter: Parameter, value: int, allowed: Range) -> bool:
    """Whether a value outside the range is taken all the same: 0 says that there is no cycle, dose or burst."""
    return value == 0 and not allowed.has(0) and parameter.field in ZERO_IS_NONE


def expect_in_range(request: Request[Any], field: str, value: int, allowed: Range, reply: Reply) -> None:
    """Refused OUT_OF_RANGE or OFF_GRID exactly when the range says so, with what the detail must tell."""
    what = f"{field} = {value}"
    if allowed.has(value):
        refused = reply.status in (Status.OUT_OF_RANGE, Status.OFF_GRID)
        expect_that(f"{what} is within range and on the grid", not refused, reply)
        return
    inside = allowed.minimum <= value <= allowed.maximum
    status = Status.OFF_GRID if inside else Status.OUT_OF_RANGE
    number = field_names(type(request)).index(field)
    detail = expect_refusal(what, reply, status, field=number, minimum=allowed.minimum, maximum=allowed.maximum)
    nearest, step = getattr(detail, "nearest", None), getattr(detail, "step", None)
    right = allowed.nearest(value)
    expect_that(f"the value nearest to {field} = {value} is told: {shown(sorted(right))}", nearest in right, nearest)
    steps = {segment.step for segment in allowed.segments}
    expect_that(f"the step of {field} is told: {shown(sorted(steps))}", step in steps, step)


@case(
    "PRG/PARAMETER/LT-01",
    "REQ-CMD-007",
    "REQ-PRG-008",
    "REQ-CMD-006",
    "REQ-WAV-001",
    "REQ-WAV-002",
    each=[(p.field.upper(), p) for p in PARAMETERS],
)
def parameter_at_its_boundaries(device: Device, parameter: Parameter) -> None:
    """min - step, min, off the grid, max, max + step of each stretch: taken, OFF_GRID or OUT_OF_RANGE, as reported."""
    allowed = device.capabilities.range(parameter.capability)
    if parameter.field.startswith("cycle") and not allowed.maximum:
        raise NotApplicable("the device does not cycle")
    device.ask(BeginProgramWrite(device.program, 1, "conformance"))
    before = device.snapshot()
    for value in allowed.boundaries():
        area = probing_area(device, parameter, value)
        rules = broken_rules(area, device.capabilities)
        request = WriteProgramBlock(device.program, area)
        reply = device.request(request)
        is_none = stands_for_none(parameter, value, allowed)
        if not is_none:
            expect_in_range(request, parameter.field, value, allowed, reply)
        if is_none or allowed.has(value):
            expected = Status.UNSAFE_COMBINATION if rules else Status.OK
            expect(f"{parameter.field} = {value}, which breaks {shown(rules) if rules else 'no rule'}", reply.status, expected)
    expect("programs, limits, therapy and revision", device.snapshot(), before)


def expect_block_refused(device: Device, what: str, block: AreaSettings, status: Status, **detail: object) -> None:
    """Write one block into a fresh shadow; it must be refused so."""
    device.ask(BeginProgramWrite(device.program, 1, "conformance"))
    expect_refusal(what, device.request(WriteProgramBlock(device.program, block)), status, **detail)


def expect_unsafe(device: Device, what: str, block: AreaSettings, rule: SafetyRule, **detail: object) -> None:
    expect_block_refused(device, what, block, Status.UNSAFE_COMBINATION, rule=rule, area=0, **detail)


def contacts_of(device: Device, count: int) -> list[int]:
    """So many sound contacts of the lead.

    Raises:
        NotApplicable: there are fewer.
    """
    if len(device.sound_contacts) < count:
        raise NotApplicable(f"the device has fewer than {count} sound contacts")
    return device.sound_contacts[:count]


SUMS = [(str(total), total) for total in (0, 1, 500, 999, 1001, 2000)]


def split_area(device: Device, total: int, *, sign: int) -> AreaSettings:
    """Two contacts of one sign that sum to `total` permille, against one of the other sign that has its full share."""
    first, second, third = contacts_of(device, 3)
    parts = {first: total // 2, second: total - total // 2}
    split = [ContactShare(contact, sign * part) for contact, part in parts.items() if part]
    return device.smallest(contacts=(*split, ContactShare(third, -sign * 1000)))


@case("PRG/SHARES/BI-01", "REQ-PRG-005", each=SUMS)
def cathodes_must_sum(device: Device, total: int) -> None:
    """Cathodes that do not sum to 1000 permille are refused with the sum found."""
    area = split_area(device, total, sign=-1)
    expect_unsafe(device, f"cathodes of {total} permille", area, SafetyRule.CATHODES_PERMILLE, value=total, limit=1000)


@case("PRG/SHARES/BI-02", "REQ-PRG-005", each=SUMS)
def anodes_must_sum(device: Device, total: int) -> None:
    """Anodes that do not sum to 1000 permille are refused with the sum found."""
    area = split_area(device, total, sign=1)
    expect_unsafe(device, f"anodes of {total} permille", area, SafetyRule.ANODES_PERMILLE, value=total, limit=1000)


@case("PRG/SHARES/BV-01", "REQ-PRG-005")
def uneven_shares_are_taken(device: Device) -> None:
    """Any split that sums is taken, down to one permille; the case counts as a contact."""
    first, second, third, fourth = contacts_of(device, 4)
    split = (ContactShare(first, -1), ContactShare(second, -999), ContactShare(third, 1), ContactShare(fourth, 999))
    device.write_program(device.smallest(contacts=split))
    if device.capabilities.has_case:
        device.write_program(device.smallest(contacts=(ContactShare(first, -1000), ContactShare(CASE_CONTACT, 1000))))


@case("PRG/CONTACT/BI-01", "REQ-PRG-005")
def contact_twice(device: Device) -> None:
    """A contact that stands twice is refused CONTACT_REPEATED, naming it."""
    first, second = contacts_of(device, 2)
    for shares in ((-500, -500, 1000), (-1000, 500, 500)):
        numbers = (first, first, second) if shares[0] == shares[1] else (first, second, second)
        contacts = tuple(ContactShare(contact, share) for contact, share in zip(numbers, shares, strict=True))
        repeated = numbers[1]
        area = device.smallest(contacts=contacts)
        expect_unsafe(device, f"contact {repeated} twice", area, SafetyRule.CONTACT_REPEATED, value=repeated)


@case("PRG/CONTACT/BI-02", "REQ-PRG-005", "REQ-CMD-007", "REQ-CAP-002")
def contact_that_is_not_there(device: Device) -> None:
    """A contact beyond those there are is refused OUT_OF_RANGE on the contacts' field."""
    first, beyond = device.sound_contacts[0], device.capabilities.contacts[-1] + 1
    for contact in (beyond, CASE_CONTACT - 1):
        area = device.smallest(contacts=(ContactShare(first, -1000), ContactShare(contact, 1000)))
        expect_block_refused(device, f"contact {contact}", area, Status.OUT_OF_RANGE, field=CONTACTS_FIELD)


@case("PRG/CONTACT/BI-03", "REQ-PRG-005")
def case_that_is_no_electrode(device: Device) -> None:
    """On a device whose case is no electrode, the case in a program is refused NOT_SUPPORTED."""
    if device.capabilities.has_case:
        raise NotApplicable("the case of this device is an electrode")
    area = device.smallest(contacts=(ContactShare(device.sound_contacts[0], -1000), ContactShare(CASE_CONTACT, 1000)))
    expect_block_refused(device, "the case as anode", area, Status.NOT_SUPPORTED, field=CONTACTS_FIELD)


@case("PRG/CONTACT/BI-04", "REQ-PRG-005", "REQ-CMD-007")
def contact_without_share(device: Device) -> None:
    """A share of 0 permille is refused OUT_OF_RANGE on the contacts' field."""
    first, second, third = contacts_of(device, 3)
    shares = (ContactShare(first, -1000), ContactShare(second, 1000))
    area = device.smallest(contacts=(*shares, ContactShare(third, 0)))
    expect_block_refused(device, "a share of 0", area, Status.OUT_OF_RANGE, field=CONTACTS_FIELD)


@case("PRG/WAVEFORM/BI-01", "REQ-PRG-006", "REQ-CAP-002")
def waveform_that_the_device_lacks(device: Device) -> None:
    """A waveform that no row names is refused NOT_SUPPORTED on the waveform's field."""
    missing = [waveform for waveform in Waveform if waveform not in device.capabilities.waveforms]
    if not missing:
        raise NotApplicable("this device has every waveform")
    for waveform in missing:
        area = msgspec.structs.replace(device.smallest(), waveform=waveform)
        expect_block_refused(device, waveform.name, area, Status.NOT_SUPPORTED, field=2)


@case("PRG/WAVEFORM/BV-01", "REQ-PRG-006", "REQ-CAP-002")
def waveforms_that_the_device_has(device: Device) -> None:
    """Every waveform that a row names is taken."""
    for waveform in device.capabilities.waveforms:
        device.write_program(device.smallest(waveform=waveform), select=False)
        device.write_program(device.typical(waveform=waveform), select=False)


@case("PRG/AREA/BI-01", "REQ-PRG-006", "REQ-CMD-007")
def area_beyond_the_shadow(device: Device) -> None:
    """A block for an area beyond those of BEGIN_PROGRAM_WRITE is refused with the range of those there are."""
    for number in (1, 0xFF):
        detail = {"field": 1, "minimum": 0, "maximum": 0}
        expect_block_refused(device, f"area {number} of 1", device.smallest(area=number), Status.OUT_OF_RANGE, **detail)
