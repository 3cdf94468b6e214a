"""The page in Chromium, where there is one: it sorts, filters and opens without a network, and runs without an error."""

from __future__ import annotations

import json
import shutil
import subprocess
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from ipg_conformance.cli import main

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
TARGET = "ipg://scs-rechargeable?seed=1&defect=response-before-commit,nearest-rounded-up"
LONG_ID = "THR/SET/LT-01/AMPLITUDE_MICROAMPS"
"""Of a case that fails and proves four requirements."""

PROBE = """
const first = () => document.querySelector("#cases .case:not([hidden])").id;
const click = selector => document.querySelector(selector).click();
const found = {errors: window.errors, begin: first(), shown: document.getElementById("shown").textContent};
found.too_wide = document.documentElement.scrollWidth - innerWidth;
click('.sort[data-key="case"]');
click('.sort[data-key="case"]');
found.last = first();
click('.tile[data-verdict="FAIL"]');
found.failed = [first(), document.getElementById("shown").textContent];
click('[data-requirement="REQ-PRG-003"]');
found.of_requirement = document.getElementById("shown").textContent;
click(".matrix thead th:nth-child(4)");
click(".matrix thead th:nth-child(4)");
found.worst = document.querySelector(".matrix tbody tr").textContent.slice(0, 11);
const before = getComputedStyle(document.body).backgroundColor;
click("#theme");
found.is_turned = getComputedStyle(document.body).backgroundColor !== before;
document.title = JSON.stringify(found);
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the page shows a reader who clicks."""
    if CHROMIUM is None:
        pytest.skip("there is no Chromium")
    folder = tmp_path_factory.mktemp("report")
    main(["run", "--target", TARGET, "--allow", "destructive", "--only", "PRG/READ", "FRM", LONG_ID, "--out", str(folder)])
    page = (folder / "report.html").read_text()
    listening = "<script>window.errors = []; addEventListener('error', event => errors.push(event.message));</script>"
    probed = page.replace("<head>", f"<head>{listening}", 1).replace("</body>", f"<script>{PROBE}</script></body>", 1)
    (folder / "probed.html").write_text(probed)
    return _in_chromium(folder / "probed.html", folder / "profile")


def _in_chromium(page: Path, profile: Path) -> dict[str, Any]:
    options = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--window-size=700,1000",
        f"--user-data-dir={profile}",
        "--dump-dom",
    ]
    ran = subprocess.run([str(CHROMIUM), *options, page.as_uri()], capture_output=True, text=True, check=True, timeout=25)
    title: dict[str, Any] = json.loads(unescape(ran.stdout.partition("<title>")[2].partition("</title>")[0]))
    return title


def test_the_script_of_the_page_runs_without_an_error(found: dict[str, Any]) -> None:
    assert found["errors"] == []


def test_the_page_is_no_wider_than_a_narrow_window(found: dict[str, Any]) -> None:
    assert found["too_wide"] <= 0


def test_a_column_sorts_the_cases_and_sorts_them_back(found: dict[str, Any]) -> None:
    assert (found["begin"][:4], found["last"]) == ("FRM/", LONG_ID)


def test_a_tile_shows_the_cases_of_its_verdict(found: dict[str, Any]) -> None:
    total = found["shown"].split()[2]
    assert found["failed"] == [LONG_ID, f"2 of {total} cases"]


def test_a_requirement_shows_its_cases(found: dict[str, Any]) -> None:
    assert found["of_requirement"].startswith("1 of ")


def test_a_column_sorts_the_requirements(found: dict[str, Any]) -> None:
    assert found["worst"] == "REQ-CMD-006"


def test_the_button_turns_light_to_dark(found: dict[str, Any]) -> None:
    assert found["is_turned"]
