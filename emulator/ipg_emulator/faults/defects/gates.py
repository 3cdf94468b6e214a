"""Gates: what a request is held against before it is served, and how it is refused."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from ipg_protocol import wire
from ipg_protocol.command import COMMAND_OF, Command, Reply
from ipg_protocol.commands.session import OpenSession
from ipg_protocol.commands.therapy import ReadSchedule, SetAmplitude, SetPulseWidth, SetRate, WriteLimits, WriteSchedule
from ipg_protocol.frame import Frame
from ipg_protocol.refusal import BootDetail, MalformedDetail, RangeDetail, RoleDetail, StateDetail
from ipg_protocol.vocabulary import Role, State, Status
from ipg_protocol.wire import Message
from msgspec.structs import replace

from ipg_emulator.faults.defects.defect import Usual, booting, part, refusing, serving
from ipg_emulator.firmware import Firmware
from ipg_emulator.firmware.dispatch import Context
from ipg_emulator.firmware.link import Link
from ipg_emulator.firmware.refusal import Refused


@part("link", "_session_for")
def role_not_checked(usual: Usual[Any], _: Link, entry: Command, now: int) -> Any:
    """Any session may send any command."""
    return usual(entry if entry.role is None else entry._replace(role=Role.OBSERVER), now)


@serving(OpenSession)
def role_checked_only_on_open(usual: Usual[Message], request: OpenSession, context: Context) -> Message:
    """The highest role that a session was ever opened with stays in force for those that come after."""
    before = context.link.session
    answer = usual(request, context)
    if before is not None and context.link.session is not None:
        context.link.session.role = max(before.role, context.link.session.role)
    return answer


@refusing(Status.NOT_PERMITTED)
def required_role_is_the_own(reply: Reply, _: Message | None) -> Reply:
    """NOT_PERMITTED names the role that the session has."""
    return replace(reply, body=RoleDetail(Role.OBSERVER))


@part("link", "_decode")
def surplus_bytes_ignored(usual: Usual[Message], _: Link, entry: Command, frame: Frame) -> Message:
    """A payload that is too long is taken as far as it is needed."""
    least = wire.minimum_size(entry.request)
    for surplus in range(max(len(frame.payload) - least, 0)):
        with suppress(Refused):
            return usual(entry, replace(frame, payload=frame.payload[: len(frame.payload) - surplus]))
    return usual(entry, replace(frame, payload=frame.payload[:least]))


@part("link", "_decode")
def malformed_names_the_first_field(usual: Usual[Message], _: Link, entry: Command, frame: Frame) -> Message:
    """MALFORMED names the first field, whichever is wrong."""
    try:
        return usual(entry, frame)
    except Refused as refused:
        detail = refused.detail
        if isinstance(detail, MalformedDetail):
            raise Refused(refused.status, replace(detail, field=0)) from None
        raise


@part("link", "_session_for")
def no_session_without_boot_counter(usual: Usual[Any], _: Link, entry: Command, now: int) -> Any:
    """NO_SESSION tells 0 as the boot counter."""
    try:
        return usual(entry, now)
    except Refused as refused:
        if refused.status is Status.NO_SESSION:
            raise Refused(Status.NO_SESSION, BootDetail(0)) from None
        raise


@refusing(Status.WRONG_STATE)
def wrong_state_tells_idle(reply: Reply, _: Message | None) -> Reply:
    """WRONG_STATE tells IDLE, whatever the state is."""
    return replace(reply, body=StateDetail(State.IDLE))


@booting
def lacking_command_served(firmware: Firmware) -> None:
    """The commands of the schedule are served on a model that has none."""
    device = firmware.device
    schedule = {COMMAND_OF[ReadSchedule].opcode, COMMAND_OF[WriteSchedule].opcode}
    vars(device)["supported_commands"] = device.supported_commands | schedule


@serving(SetAmplitude)
def refusal_changes_something(usual: Usual[Message], request: SetAmplitude, context: Context) -> Message:
    """A refused SET_AMPLITUDE has set the lowest amplitude by then."""
    try:
        return usual(request, context)
    except Refused:
        lowest = context.device.model.ranges.amplitude_microamps.minimum
        usual(replace(request, area=0, amplitude_microamps=lowest), context)
        raise


@part("memory", "commit")
def revision_counts_twice(usual: Usual[int], _: object, configuration: Any) -> int:
    """A change of the configuration raises its revision by two."""
    usual(configuration)
    return usual(configuration)


@serving(WriteLimits)
def limits_raise_no_revision(usual: Usual[Message], request: WriteLimits, context: Context) -> Message:
    """WRITE_LIMITS does not raise the revision of the configuration."""
    memory = context.device.memory
    revision = memory.configuration.revision
    answer = usual(request, context)
    limits = replace(memory.configuration.limits, revision=revision)
    memory.configuration = replace(memory.configuration, revision=revision, limits=limits)
    return replace(answer, revision=revision)


@serving(SetAmplitude)
def off_grid_rounded(usual: Usual[Message], request: SetAmplitude, context: Context) -> Message:
    """An amplitude between two grid points is rounded, and not refused."""
    grid = context.device.model.ranges.amplitude_microamps
    value = request.amplitude_microamps
    inside = grid.minimum <= value <= grid.maximum
    return usual(replace(request, amplitude_microamps=grid.nearest(value)) if inside else request, context)


@refusing(Status.OFF_GRID)
def nearest_rounded_up(reply: Reply, request: Message | None) -> Reply:
    """OFF_GRID names the grid point above as the nearest, also where the one below is nearer."""
    detail = reply.body
    assert isinstance(detail, RangeDetail), "it is what OFF_GRID takes"
    asked = [getattr(request, name, 0) for name in ("amplitude_microamps", "pulse_width_us", "rate_millihertz")]
    is_below = detail.nearest < max(asked)
    return replace(reply, body=replace(detail, nearest=detail.nearest + detail.step * is_below))


@refusing(Status.OUT_OF_RANGE)
def out_of_range_names_the_first_field(reply: Reply, _: Message | None) -> Reply:
    """OUT_OF_RANGE names the first field, whichever is beyond its range."""
    return replace(reply, body=replace(reply.body, field=0))


@refusing(Status.OUT_OF_RANGE)
def nearest_is_the_minimum(reply: Reply, _: Message | None) -> Reply:
    """OUT_OF_RANGE names the minimum as the nearest value, also above the maximum."""
    detail = reply.body
    assert isinstance(detail, RangeDetail), "it is what OUT_OF_RANGE takes"
    return replace(reply, body=replace(detail, nearest=detail.minimum))


@serving(SetPulseWidth)
def pulse_width_one_step_too_many(usual: Usual[Message], request: SetPulseWidth, context: Context) -> Message:
    """SET_PULSE_WIDTH takes one step more than the maximum: the comparison is with `<=` of the number of steps."""
    highest = context.device.model.ranges.pulse_width_us.segments[-1]
    is_above = request.pulse_width_us == highest.maximum + highest.step
    return usual(replace(request, pulse_width_us=highest.maximum) if is_above else request, context)


@serving(SetRate)
def lowest_rate_refused(usual: Usual[Message], request: SetRate, context: Context) -> Message:
    """SET_RATE refuses the lowest rate: the comparison is with `<` where `<=` is right."""
    segment = context.device.model.ranges.rate_millihertz.segments[0]
    if request.rate_millihertz == segment.minimum:
        above = segment.minimum + segment.step
        raise Refused(Status.OUT_OF_RANGE, RangeDetail(2, above, segment.maximum, segment.step, above))
    return usual(request, context)
