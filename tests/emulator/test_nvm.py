"""`ipg-emulator run --nvm FILE`: a device that outlives its process, and every file that is no image of it."""

from __future__ import annotations

import gc
import os
import resource
import runpy
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from random import Random

import msgspec
import pytest
from ipg_emulator.board.flash import FlashMemory
from ipg_emulator.factory import build_device
from ipg_emulator.firmware.store import Store
from ipg_emulator.image import IMAGE_BYTES, MARK, ImageError, build_on_image, contents, open_image
from ipg_emulator.model import ModelError, load
from ipg_host import connect, procedures
from ipg_protocol import Role

CAMPAIGNS = Path(__file__).parents[1] / "campaigns"
NOBODY = 65_534
RUN = [sys.executable, "-m", "ipg_emulator", "run"]


@pytest.fixture
def image(tmp_path: Path) -> Path:
    return tmp_path / "device.nvm"


@pytest.fixture
def start(image: Path) -> Iterator[Callable[..., tuple[subprocess.Popen[str], str]]]:
    """Start a device on the image; the process and the address of its port."""
    started: list[subprocess.Popen[str]] = []

    def start(*options: str) -> tuple[subprocess.Popen[str], str]:
        command = [*RUN, "--model", "scs-rechargeable", "--nvm", str(image), *options]
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        assert started[-1].stdout
        return started[-1], started[-1].stdout.readline().split()[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def refusal(path: Path, *options: str, limit_bytes: int | None = None) -> str:
    """The one line with which a start ends with code 3."""

    def limit() -> None:
        if limit_bytes is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, limit_bytes))

    model = [] if "--model" in options else ["--model", "scs-rechargeable"]
    command = [*RUN, *model, "--nvm", str(path), *options]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=20, preexec_fn=limit, check=False)
    assert (ended.returncode, ended.stdout) == (3, "")
    assert ended.stderr.startswith(f"ipg-emulator: --nvm {path}: ")
    assert ended.stderr.count("\n") == 1
    return ended.stderr.removeprefix(f"ipg-emulator: --nvm {path}: ").rstrip()


def reason(path: Path) -> str:
    """Why a file cannot be opened as an image."""
    with pytest.raises(ImageError) as error:
        open_image(str(path))
    assert str(error.value).startswith(f"--nvm {path}: ")
    return str(error.value).removeprefix(f"--nvm {path}: ")


def made(path: Path, changes: Mapping[bytes, bytes] | None = None) -> bytes:
    """An image of scs-rechargeable with seed 0, as it is after its first boot and these changes, one by one."""
    flash = open_image(str(path))
    build_device(load("scs-rechargeable"), flash=flash)
    for key, value in (changes or {}).items():
        Store(flash).write({key: value})
    del flash
    gc.collect()  # lets go of the file
    return path.read_bytes()


def test_a_killed_device_goes_on_where_it_was(start) -> None:
    process, address = start()
    with connect(address, host_id=7) as client:
        first = client.open_session(Role.SERVICE)
        answer = client.run(procedures.set_amplitude(0, 500))
        process.kill()
        process.wait()
    _, address = start()
    with connect(address, host_id=7) as client:
        again = client.open_session(Role.SERVICE)
        assert again.boot_counter == first.boot_counter + 1
        assert again.last_transaction == 1
        assert client.run(procedures.status()).revision == answer.revision
        assert client.run(procedures.read_therapy(0)).programmed_microamps == 500


def test_an_orderly_end_leaves_the_image_as_a_kill_does(start, image: Path) -> None:
    process, _ = start()
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0
    assert [path.name for path in image.parent.iterdir()] == ["device.nvm"]
    flash = open_image(str(image))
    assert contents(flash).recovery == type(contents(flash).recovery)()


def test_a_second_process_on_the_same_image_is_refused_and_the_first_goes_on(start, image: Path) -> None:
    _, address = start()
    assert refusal(image) == "a running device has it; stop that one or give another path"
    with connect(address) as client:
        assert client.run(procedures.identify()).serial == "VIPG-00000000"


def test_each_device_of_several_has_an_image_of_its_own(start, image: Path) -> None:
    _, _ = start("--devices", "2", "--tcp", "0")
    assert sorted(path.name for path in image.parent.iterdir()) == ["device.nvm0", "device.nvm1"]


@pytest.mark.parametrize(
    ("options", "own"),
    [
        (("--model", "scs-burst"), "VIPG-00000000 (scs-burst, layout 1)"),
        (("--seed", "5"), "VIPG-00000005 (scs-rechargeable, layout 1)"),
    ],
)
def test_the_image_of_another_device_is_refused_and_left_as_it_is(image: Path, options: tuple[str, str], own: str) -> None:
    before = made(image)
    assert refusal(image, *options) == (
        f"it belongs to VIPG-00000000 (scs-rechargeable, layout 1), not to {own}; "
        "run it as scs-rechargeable with --seed 0, or give another path"
    )
    assert image.read_bytes() == before


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    assert reason(tmp_path / "missing" / "device.nvm") == "No such file or directory"


def test_a_directory_is_no_image(tmp_path: Path) -> None:
    assert reason(tmp_path) == "Is a directory"


def test_a_device_file_is_no_image() -> None:
    assert refusal(Path("/dev/full")) == "it is not a file; give the path of an image, or one that is free"


@pytest.mark.parametrize("size", [0, 1, 5000, IMAGE_BYTES - 1, IMAGE_BYTES + 1])
def test_a_file_of_another_size_is_refused_and_left_as_it_is(image: Path, size: int) -> None:
    content = (bytes(IMAGE_BYTES - len(MARK)) + MARK + b"x")[:size]
    image.write_bytes(content)
    stays = "It stays as it is; give another path for a new device"
    assert reason(image) == f"it is not a whole image: it has {size} bytes, and an image has {IMAGE_BYTES}. {stays}"
    assert image.read_bytes() == content


def test_a_file_of_the_right_size_that_is_something_else_is_refused_and_left_as_it_is(image: Path) -> None:
    content = Random(1).randbytes(IMAGE_BYTES)
    image.write_bytes(content)
    assert "it is not a whole image: it does not end with 'Virtual IPG NVM1'" in reason(image)
    assert image.read_bytes() == content


def test_a_file_that_may_not_be_written_is_refused() -> None:
    user = os.geteuid()
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        image = Path(folder, "device.nvm")
        made(image)
        image.chmod(0o444)
        try:
            if user == 0:
                os.seteuid(NOBODY)
            assert reason(image) == "Permission denied"
        finally:
            os.seteuid(user)


def test_a_disk_that_is_too_full_for_an_image_is_told_before_anything_runs_and_nothing_is_left(image: Path) -> None:
    assert refusal(image, limit_bytes=100_000) == "No space left on device"
    assert list(image.parent.iterdir()) == []


def test_an_image_that_was_half_made_is_made_whole(image: Path) -> None:
    unfinished = image.parent / ".device.nvm.new"
    unfinished.write_bytes(b"half")
    open_image(str(image))
    assert [path.name for path in image.parent.iterdir()] == ["device.nvm"]
    assert image.stat().st_size == IMAGE_BYTES


def test_a_rotten_bit_anywhere_in_the_image_is_no_loss(image: Path) -> None:
    content = made(image, {b"\0%d" % number: bytes([number]) * 20 for number in range(20)})
    values = Store(_flash_of(content)).values
    rng = Random(1)
    used = len(content[: FlashMemory().page_count * FlashMemory().page_bytes].rstrip(b"\0"))
    for _ in range(60):
        damaged = bytearray(content)
        damaged[rng.randrange(IMAGE_BYTES // 2, used)] ^= 1 << rng.randrange(8)
        image.write_bytes(damaged)
        found = contents(open_image(str(image)))
        assert (found.recovery.lost_records, found.recovery.is_lost) == (0, False)
        assert found.identity is not None
        assert Store(_flash_of(bytes(damaged))).values == values
    image.write_bytes(content[:-3] + b"???")
    assert contents(open_image(str(image))).identity is not None


def _flash_of(content: bytes) -> FlashMemory:
    return FlashMemory(bytearray(content))


def test_a_damaged_image_is_told_in_one_line_and_logged_and_runs_with_all_before_the_damage(image: Path) -> None:
    model, told = load("scs-rechargeable"), list[str]()
    content = bytearray(made(image))
    used = len(content[: -len(MARK) - 512].rstrip(b"\0"))
    content[used - 40 : used - 30] = b"x" * 10
    image.write_bytes(content)
    firmware = build_on_image(str(image), lambda **more: build_device(model, **more), told.append)
    assert told == [f"--nvm {image}: it is damaged: stored changes are lost, at least 1; all before them are there"]
    assert "STORAGE_RECOVERED" in [entry.code.name for entry in firmware.memory.log_entries()]


def test_an_image_that_cannot_be_read_at_all_is_told_and_logged_and_begins_anew(image: Path) -> None:
    model, told = load("scs-rechargeable"), list[str]()
    image.write_bytes(Random(1).randbytes(IMAGE_BYTES - len(MARK)) + MARK)
    firmware = build_on_image(str(image), lambda **more: build_device(model, **more), told.append)
    assert told == [f"--nvm {image}: nothing in it can be read; the device begins anew, as from the factory"]
    assert "STORAGE_LOST" in [entry.code.name for entry in firmware.memory.log_entries()]


def test_the_cell_is_as_full_as_it_was(image: Path) -> None:
    model = load("scs-rechargeable")
    firmware = build_on_image(str(image), lambda **more: build_device(model, **{**more, "charge_permille": 400}), print)
    firmware.memory.note(charge_permille=400)
    firmware.memory.flush(1_000_000)
    del firmware
    gc.collect()  # lets go of the file
    again = build_on_image(str(image), lambda **more: build_device(model, **more), print)
    assert again.board.power.read(2_000_000).charge_permille in (399, 400)


def test_a_host_and_a_device_killed_again_and_again_agree(image: Path) -> None:
    kills = runpy.run_path(str(CAMPAIGNS / "kills.py"))
    tally = kills["Campaign"](image, seed=2).run(8)
    assert tally.kills == 8
    assert tally.answered > 50


def test_an_image_with_a_program_that_a_changed_model_cannot_deliver_is_refused(image: Path) -> None:
    model = load("scs-rechargeable")
    build_on_image(str(image), lambda **given: build_device(model, **given), print)
    gc.collect()
    one_lead = tuple(msgspec.structs.replace(lead, count=1) for lead in model.leads)
    programs = tuple(program for program in model.programs if program.name == "High rate")
    changed = msgspec.structs.replace(model, leads=one_lead, programs=programs)
    with pytest.raises(ImageError, match=r"programs\[0\] 'Back and leg' cannot be delivered: .*Was the model file another one"):
        build_on_image(str(image), lambda **given: build_device(changed, **given), print)


def test_a_model_whose_memory_can_outgrow_its_flash_is_refused() -> None:
    model = msgspec.structs.replace(load("scs-rechargeable"), log_entries=5000)
    with pytest.raises(ModelError, match=r"its memory can come to \d+ bytes.* fewer of log_entries"):
        build_device(model)


def test_an_empty_path_is_wrong_usage_and_starts_no_device_that_would_forget() -> None:
    found = subprocess.run([*RUN, "--model", "tens", "--nvm", ""], capture_output=True, text=True, timeout=10, check=False)
    assert found.returncode == 2
    assert "argument --nvm: the path is empty" in found.stderr
