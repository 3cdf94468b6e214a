"""The page of the documentation about defects in Markdown, rendered from their declarations and from what catches them.

`python -m ipg_emulator.faults.defects.page docs/defects.md tests/conformance/caught.toml` brings the page up to date.
"""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Iterator, Mapping
from types import ModuleType

from ipg_emulator.faults.defects import DEFECTS, MODULES

_HEAD = """\
# Defects

What a firmware team would ship: {count} defects, each by its name. A virtual device is born with the defects that it is given,
and they outlive every restart. Host developers meet them to see what their software makes of them; the conformance suite is
judged by them, for it must fail a device that has one. This page is rendered from the declarations;
`ipg-emulator defects` prints the same list.

```sh
ipg-emulator run --model scs-rechargeable --defect duplicate-executed
ipg-conformance run --target 'ipg://scs-rechargeable?defect=duplicate-executed'
```

`--defect` may be given again; in a URL, names are separated by commas; in the file of a fleet it is `defects = ["..."]`, in a
test `@pytest.mark.ipg(defects=["..."])`. On a model that lacks what a defect is in, it does nothing. A fault
([faults.md](faults.md)) comes and goes while a device runs; a defect is how the device was made. Where a defect leads the
firmware so far astray that it dies, its watchdog resets it.

In Python, a defect is put on a device as it is built:

```python
from ipg_emulator.factory import build_device
from ipg_emulator.faults.defects import defects
from ipg_emulator.model import load

firmware = build_device(load("scs-rechargeable"), altered_by=defects(["duplicate-executed"]))
```

The last columns name a case that fails on a device with the defect and passes on a sound one, the requirement that is broken,
and the device that shows it. `tests/conformance/caught.toml` holds them, `tests/conformance/test_defects.py` runs each, and
`python tests/conformance/catch_defects.py NAME` finds every case that catches a defect.
"""
_COLUMNS = ("defect", "what is wrong", "caught by", "requirement", "on")
Caught = Mapping[str, Mapping[str, str]]
"""By defect: the `case` that catches it, the `requirement` that it breaks, the `device` that shows it."""


def render(caught: Caught) -> str:
    """The whole page."""
    return "\n\n".join([_HEAD.format(count=len(DEFECTS)).rstrip(), *(_section(module, caught) for module in MODULES)]) + "\n"


def _section(module: ModuleType, caught: Caught) -> str:
    title, _, text = (module.__doc__ or "").partition(":")
    rows = "\n".join(f"| {' | '.join(row)} |" for row in _rows(module, caught))
    return f"## {title}\n\n{text.strip()[:1].upper()}{text.strip()[1:]}\n\n{rows}"


def _rows(module: ModuleType, caught: Caught) -> Iterator[tuple[str, ...]]:
    yield _COLUMNS
    yield ("---",) * len(_COLUMNS)
    for defect in DEFECTS.values():
        if defect.module == module.__name__:
            by = caught[defect.name]
            yield f"`{defect.name}`", defect.doc, by["case"], by["requirement"], by["device"]


def main(path: str, caught: str) -> None:
    """Rewrite the page at `path`, from the table at `caught`."""
    with open(caught, "rb") as table:
        content = render(tomllib.load(table))
    with open(path, "w", encoding="utf-8") as page:
        page.write(content)


if __name__ == "__main__":
    main(*sys.argv[1:])
