"""Finds the cases that catch a defect, for caught.toml: `python tests/conformance/catch_defects.py NAME [DEVICE]`."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator

from ipg_conformance import CASES, Profile, Result, Verdict, open_port, run_cases
from ipg_conformance.runner import select
from ipg_emulator.faults.defects import DEFECTS

USUAL_DEVICE = "scs-rechargeable"


def results_on(device: str, cases: Iterable[str], defect: str = "") -> list[Result]:
    """What comes of cases on a device such as `scs-rechargeable?short=5`, with a defect or sound."""
    model, _, options = device.partition("?")
    chosen = [each for each in ("seed=1", options, defect and f"defect={defect}") if each]
    return run_cases(open_port(f"ipg://{model}?{'&'.join(chosen)}"), [CASES[case] for case in cases])


def catching(defect: str, device: str) -> Iterator[Result]:
    """The cases that fail on a device with the defect, each by itself, and pass on the sound one."""
    every = [case.id for case in select(Profile.FULL)]
    sound = {result.case for result in results_on(device, every) if result.verdict is Verdict.PASS}
    for case in every:
        (alone,) = results_on(device, [case], defect) if case in sound else [None]
        if alone is not None and alone.verdict is Verdict.FAIL and alone.was_prepared:
            yield alone


def main(defect: str, device: str = USUAL_DEVICE) -> None:
    """Print an entry for each case that catches a defect, with what it says."""
    print(f"# {DEFECTS[defect].doc}")
    for result in catching(defect, device):
        print(f'\n[{defect}]  # {result.what}\ndevice = "{device}"\ncase = "{result.case}"')
        print("\n".join(f'requirement = "{requirement}"' for requirement in result.requirements))


if __name__ == "__main__":
    main(*sys.argv[1:])
