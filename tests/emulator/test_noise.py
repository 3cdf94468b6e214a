"""A short run of the campaign of noise against whole devices; `make soak` runs it in full."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest

CAMPAIGNS = Path(__file__).parents[1] / "campaigns"


@pytest.mark.parametrize("model", ["scs-rechargeable", "drg-primary", "dbs-rechargeable"])
def test_a_device_survives_noise_and_answers_each_request_once(model, monkeypatch):
    monkeypatch.setattr(sys, "path", [str(CAMPAIGNS), *sys.path])
    outcome = runpy.run_path(str(CAMPAIGNS / "device_noise.py"))["campaign"](model, 6_000)
    assert outcome.answers == outcome.requests > 2_000
    assert outcome.growth_bytes < 60_000  # 20 bytes a string would be seen
