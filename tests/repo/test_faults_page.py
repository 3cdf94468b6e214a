"""docs/faults.md is current: it is what the declarations of the faults say."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from ipg_emulator import faults
from ipg_emulator.factory import build_device
from ipg_emulator.faults import describe, page
from ipg_emulator.faults.fault import FAULTS
from ipg_emulator.faults.injector import Injector
from ipg_emulator.faults.plan import plan_from
from ipg_emulator.model import load
from ipg_emulator.virtual import VirtualIpg

PAGE = Path(__file__).parents[2] / "docs" / "faults.md"


def test_the_page_of_faults_is_current():
    assert PAGE.read_text() == page.render(), "stale: run `python -m ipg_emulator.faults.page docs/faults.md`"


def test_every_kind_is_on_the_page_and_in_the_listing_once():
    listing = describe.listing().splitlines()
    for name in FAULTS:
        assert PAGE.read_text().count(f"\n### {name}\n") == 1
        assert listing.count(name) == 1


@pytest.mark.parametrize("kind", FAULTS)
def test_every_kind_says_what_it_is_and_every_field_what_it_takes(kind):
    assert describe.kind_doc(FAULTS[kind]).endswith(".")
    for parameter in describe.own_parameters(FAULTS[kind]):
        assert parameter.takes


def test_every_kind_can_be_had_from_the_package():
    assert {kind.__name__ for kind in FAULTS.values()} <= set(faults.__all__)
    assert all(getattr(faults, kind.__name__) is kind for kind in FAULTS.values())


def test_the_plan_on_the_page_is_one():
    (plan,) = re.findall(r"^```toml\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert len(plan_from(tomllib.loads(plan)).faults) == 3


def test_the_python_on_the_page_plans_a_fault_and_takes_it_away():
    (program,) = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    ipg = VirtualIpg(build_device(load("scs-rechargeable")))
    names = {"ipg": ipg, "now": 1_000_000}
    exec(program, names)
    assert names["number"] == 1
    assert isinstance(ipg.faults, Injector)
    assert ipg.faults.planned() == []


def test_the_page_is_written_where_it_is_wanted(tmp_path):
    page.main(str(tmp_path / "faults.md"))
    assert (tmp_path / "faults.md").read_text() == page.render()
