"""Defects: a device is born with them, keeps them over restarts and snapshots, and no other device has them."""

from __future__ import annotations

import pytest
from ipg_emulator.cli import main
from ipg_emulator.factory import boot_finished_at, build_device
from ipg_emulator.faults import FaultError
from ipg_emulator.faults.defects import DEFECTS, MODULES, defects, listing
from ipg_emulator.firmware import Firmware
from ipg_emulator.firmware.capabilities import capability_rows
from ipg_emulator.fleet_file import FleetError, read_fleet
from ipg_emulator.launch import station
from ipg_emulator.model import load
from ipg_emulator.ports.protocol_ipg import Serial
from ipg_emulator.snapshot import fork, take
from ipg_emulator.virtual import VirtualIpg
from ipg_protocol import FrameReader, Reply, Request, Role, decode_reply, encode_frame, request_frame
from ipg_protocol.commands.link import GetCapabilities, Identify, Ping, Pong, Reset
from ipg_protocol.commands.session import OpenSession
from serial import SerialException

MODEL = load("scs-rechargeable")
READY = boot_finished_at(MODEL)
SECOND = 1_000_000


def device_with(*names: str) -> Firmware:
    return build_device(MODEL, altered_by=defects(names))


def ask(firmware: Firmware, request: Request, now: int, request_id: int = 1) -> Reply:
    firmware.receive(encode_frame(request_frame(request, request_id)), now)
    frames = FrameReader().feed(firmware.take_output(now), now)
    return decode_reply(next(frame for frame in frames if frame.request_id == request_id))


def token_of(firmware: Firmware, now: int = READY) -> int:
    answer = ask(firmware, Ping(0x12345678), now).body
    assert isinstance(answer, Pong)
    return answer.token


def restart(firmware: Firmware, now: int) -> int:
    """Restart by RESET; when the boot is over."""
    ask(firmware, OpenSession(role=Role.SERVICE, host_id=1, nonce=1), now)
    ask(firmware, Reset(1), now, 2)
    over = now + SECOND
    firmware.wake(over)
    return over


def test_device_with_a_defect_has_it_and_another_has_it_not():
    assert token_of(device_with("token-of-16-bits")) == 0x5678
    assert token_of(device_with()) == 0x12345678


@pytest.mark.parametrize("name", ["token-of-16-bits", "crc-not-checked", "last-capability-missing", "fewer-slots-than-told"])
def test_defect_outlives_a_restart(name):
    firmware = device_with(name)
    before = dict(firmware.handlers), firmware.altered[:], firmware.figures
    restart(firmware, READY)
    assert (dict(firmware.handlers), firmware.altered, firmware.figures) == before
    assert firmware.memory.boot_counter == 2


def test_altered_handler_serves_after_a_restart():
    firmware = device_with("token-of-16-bits")
    assert token_of(firmware, restart(firmware, READY)) == 0x5678


def test_altered_part_is_altered_after_a_restart_once():
    firmware = device_with("last-capability-missing")
    now = restart(firmware, READY)
    assert len(firmware.device.capabilities) == len(capability_rows(MODEL)) - 1
    assert ask(firmware, GetCapabilities(0), now).body.total == len(capability_rows(MODEL)) - 1


def test_device_that_goes_by_other_figures_tells_those_of_its_model():
    firmware = device_with("fewer-slots-than-told")
    assert len(firmware.memory.configuration.programs) == MODEL.program_slots - 1
    assert firmware.device.capabilities == capability_rows(MODEL)


def test_several_defects_are_put_on_one_device():
    firmware = device_with("token-of-16-bits", "identity-of-the-boot-before", "no-ping-while-ramping")
    assert token_of(firmware) == 0x5678


def test_defect_is_there_after_a_snapshot():
    ipg = VirtualIpg(device_with("token-of-16-bits", "duplicate-executed", "fewer-slots-than-told"))
    copy, now = fork(take(ipg, READY))
    assert token_of(copy.firmware, now) == 0x5678
    assert len(copy.firmware.memory.configuration.programs) == MODEL.program_slots - 1


@pytest.mark.parametrize("name", DEFECTS)
def test_device_boots_with_the_defect_and_says_what_it_is(name):
    firmware = device_with(name)
    assert firmware.memory.boot_counter == 1
    assert DEFECTS[name].doc.endswith(".")
    assert DEFECTS[name].module in {module.__name__ for module in MODULES}


@pytest.mark.parametrize("model", ["tdcs", "vns-external"])
def test_device_of_any_model_boots_with_every_defect(model):
    for name in DEFECTS:
        assert build_device(load(model), altered_by=defects([name])).memory.boot_counter == 1


def test_unknown_defect_is_refused_with_the_nearest_name():
    with pytest.raises(FaultError, match="no defect 'duplicate-execute'; did you mean duplicate-executed"):
        defects(["duplicate-execute"])


def test_command_lists_every_defect_once_in_the_order_of_its_modules(capsys):
    assert main(["defects"]) == 0
    assert [line for line in capsys.readouterr().out.splitlines() if not line.startswith(" ")] == list(DEFECTS)


def test_command_shows_one_defect(capsys):
    assert main(["defects", "crc-not-checked"]) == 0
    assert capsys.readouterr().out == f"crc-not-checked\n    {DEFECTS['crc-not-checked'].doc}\n"
    assert listing("crc-not-checked").startswith("crc-not-checked")


def test_devices_of_a_fleet_are_given_their_defects(tmp_path):
    file = tmp_path / "fleet.toml"
    file.write_text('[[devices]]\nmodel = "tens"\ndefects = ["token-of-16-bits"]\n')
    (wanted,) = read_fleet(str(file))
    station_of_it = station(wanted, 0, 1, print)
    station_of_it.port.close()
    assert token_of(station_of_it.ipg.firmware, SECOND) == 0x5678


def test_fleet_with_an_unknown_defect_is_refused_by_device_and_field(tmp_path):
    file = tmp_path / "fleet.toml"
    file.write_text('[[devices]]\nmodel = "tens"\ndefects = ["none-such"]\n')
    with pytest.raises(FleetError, match="device 1: defects: there is no defect 'none-such'"):
        read_fleet(str(file))


def test_port_in_this_process_takes_defects_separated_by_commas():
    port = Serial("ipg://tens?defect=token-of-16-bits,identity-of-the-boot-before")
    assert token_of(port.firmware, SECOND) == 0x5678
    assert ask(port.firmware, Identify(), SECOND, 2).body.boot_counter == 0


def test_port_in_this_process_refuses_an_unknown_defect():
    with pytest.raises(SerialException, match="no defect 'none-such'"):
        Serial("ipg://tens?defect=none-such")


def test_run_refuses_an_unknown_defect_in_one_line(capsys):
    assert main(["run", "--model", "tens", "--defect", "none-such"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
