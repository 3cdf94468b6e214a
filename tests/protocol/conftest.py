"""Locked vectors for the protocol's tests, and hypothesis without a clock."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hypothesis import settings

VECTORS = Path(__file__).parents[1] / "vectors"

settings.register_profile("untimed", deadline=None, derandomize=True, max_examples=30)
settings.load_profile("untimed")


def pytest_generate_tests(metafunc: Any) -> None:
    """A test that takes `requests_vector`, `answers_vector` ... runs once for each vector of that file."""
    for path in sorted(VECTORS.glob("*.json")):
        argument = f"{path.stem}_vector"
        if argument in metafunc.fixturenames:
            rows = json.loads(path.read_text())
            metafunc.parametrize(argument, rows, ids=[row["name"] for row in rows])
