"""The pictures that a host developer can have drawn of what the library returned."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from ipg_host import Client, connect, procedures
from ipg_host.errors import InputError
from ipg_host.plot import draw_ecap, draw_impedance
from ipg_protocol import Role
from ipg_protocol.commands.sensing import EcapSample, EcapSamples

PNG = b"\x89PNG"
BATCHES = [EcapSamples(0, 10 * n, 1000 * n, tuple(EcapSample(100 * k, 40 + k, 3000 + k) for k in range(10))) for n in range(3)]


@pytest.fixture
def client():
    with connect("ipg://scs-rechargeable?seed=1&open=3&short=9") as made:
        made.open_session(Role.CLINICIAN)
        yield made


def test_measured_impedances_are_drawn(client: Client, tmp_path: Path) -> None:
    rows = client.run(procedures.measure_impedance())
    target = tmp_path / "leads.png"
    draw_impedance(rows, client.run(procedures.capabilities()), str(target))
    assert target.read_bytes().startswith(PNG)


def test_leads_that_were_not_measured_are_drawn_too(client: Client, tmp_path: Path) -> None:
    target = tmp_path / "leads.png"
    draw_impedance([], client.run(procedures.capabilities()), str(target))
    assert target.read_bytes().startswith(PNG)


def test_streamed_ecaps_are_drawn(tmp_path: Path) -> None:
    target = tmp_path / "ecap.png"
    draw_ecap(BATCHES, str(target), target_microvolts=45)
    assert target.read_bytes().startswith(PNG)


def test_nothing_to_draw_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no ECAP samples to draw"):
        draw_ecap([], str(tmp_path / "ecap.png"))


def test_a_suffix_that_nobody_knows_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"ecap\.docx: .*docx"):
        draw_ecap(BATCHES, str(tmp_path / "ecap.docx"))


def test_without_matplotlib_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(InputError, match=r"pip install 'virtual-ipg\[plot\]'"):
        draw_ecap(BATCHES, str(tmp_path / "ecap.png"))
