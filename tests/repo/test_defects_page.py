"""docs/defects.md is current: it is what the declarations of the defects say, and what catches them."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from ipg_emulator.faults.defects import DEFECTS, page

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "defects.md"
CAUGHT = ROOT / "tests" / "conformance" / "caught.toml"


def test_the_page_of_defects_is_current():
    current = page.render(tomllib.loads(CAUGHT.read_text()))
    assert PAGE.read_text() == current, "stale: run `python -m ipg_emulator.faults.defects.page docs/defects.md " + (
        "tests/conformance/caught.toml`"
    )


def test_every_defect_is_on_the_page_once():
    for name in DEFECTS:
        assert PAGE.read_text().count(f"\n| `{name}` |") == 1


def test_the_python_on_the_page_builds_a_device_with_a_defect():
    (program,) = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    names: dict[str, object] = {}
    exec(program, names)
    assert getattr(names["firmware"], "survives") == (Exception,)  # noqa: B009 - what stands in `names` has no type


def test_the_page_is_written_where_it_is_wanted(tmp_path):
    page.main(str(tmp_path / "defects.md"), str(CAUGHT))
    assert (tmp_path / "defects.md").read_text() == PAGE.read_text()
