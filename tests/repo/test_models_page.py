"""docs/models.md is current: it is what the model files say."""

from __future__ import annotations

from pathlib import Path

from ipg_emulator import catalogue_page
from ipg_emulator.model import names

PAGE = Path(__file__).parents[2] / "docs" / "models.md"


def test_the_page_of_the_models_is_current() -> None:
    assert PAGE.read_text() == catalogue_page.render(), "stale: run `python -m ipg_emulator.catalogue_page docs/models.md`"


def test_the_page_has_a_section_for_each_model() -> None:
    heads = [line.removeprefix("## ") for line in PAGE.read_text().splitlines() if line.startswith("## ")]
    assert heads == names()


def test_rendering_anew_brings_a_stale_page_up_to_date(tmp_path: Path) -> None:
    page = tmp_path / "models.md"
    page.write_text("stale")
    catalogue_page.main(str(page))
    assert page.read_text() == PAGE.read_text()
