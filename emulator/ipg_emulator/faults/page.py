"""The page of the documentation about faults in Markdown, rendered from their declarations.

`python -m ipg_emulator.faults.page docs/faults.md` brings the page up to date.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from types import ModuleType

from ipg_emulator.faults.describe import (
    Parameter,
    common_parameters,
    kind_doc,
    kinds_of,
    own_parameters,
    when_parameters,
)
from ipg_emulator.faults.fault import Fault
from ipg_emulator.faults.plan import KINDS

_HEAD = """\
# Faults

What can go wrong with a virtual device, its leads and the line to its host, on demand and the same every time. This page is
rendered from the declarations; `ipg-emulator faults` prints the same list.

A plan is a TOML file, for `ipg-emulator run --faults plan.toml`, for `ipg://scs-rechargeable?faults=plan.toml`, and for the
marker of the pytest plugin:

```toml
seed = 7                              # of all that is left to chance, beside the device's own seed

[[faults]]
fault = "reply-lost"                  # the step is executed, and the host does not hear of it
when = {command = "STEP_AMPLITUDE", nth = 1}

[[faults]]
fault = "drop"                        # one frame in twenty is lost, whichever way it goes
probability = 0.05

[[faults]]
fault = "lead-open"                   # a conductor breaks for a minute, the first time that therapy runs
contact = 3
when = {state = "THERAPY", nth = 1}
for_ms = 60000
```

In Python, a fault is an object, and can be planned on a device that runs. It gets a number, by which it is taken away:

```python
from ipg_emulator.faults import ReplyLost, When, inject

number = inject(ipg, ReplyLost(when=When(command="STEP_AMPLITUDE"), times=1), now)
ipg.faults.remove(number, now)
```

- **Order.** Faults are numbered from 1 as they stand in the plan, and each strikes what those before it have left. A frame
  that is lost already is no occasion for the next. Frames keep their order unless a fault says otherwise.
- **Time.** `at_ms` counts from when the device is ready, or from when the fault was planned on a running device. All of it is
  the device's time.
- **Chance.** The same device seed, the same plan and the same bytes at the same times give the same bytes. Each fault draws
  from a generator of its own, so that one more fault at the end of a plan changes nothing that those before it draw.
- **Probability 0** leaves every byte as it is without the fault.
- **Restarts.** When the device restarts, for whatever reason, every fault of its plan is over, and what it did is made well
  again, unless it says `survives_restart = true`. A fault that itself restarts the device strikes once, unless it says so.
- **Frames.** While a fault waits for frames, the bytes before it are held until the frame that they belong to is whole, for
  200 ms at most; then they go on as they came. A `when` of a fault of the board or the firmware that speaks of a frame means
  those that reach the device: the fault is there before the frame is handled.
- **Traces** tell each time that bytes were struck, what became of them, and by which fault: `line: dropped (fault 2)`.
"""
_WHEN = """\
## When

All that is given must hold; with nothing given, every frame is an occasion, or the moment at which the fault is planned. A
fault of the line or of replies strikes on each frame that is an occasion. A fault of the board or the firmware, and one of the
line that lasts, begins on its occasion and is there until its time is over."""
_COMMON = """\
## What every fault takes

Those that last take `for_ms` too."""
_COLUMNS = ("parameter", "takes", "default", "")


def render() -> str:
    """The whole page."""
    when = [_WHEN, _table(when_parameters())]
    common = [_COMMON, _table(common_parameters())]
    return "\n\n".join([_HEAD.rstrip(), *when, *common, *map(_section, KINDS)]) + "\n"


def _section(module: ModuleType) -> str:
    title, _, text = (module.__doc__ or "").partition(":")
    kinds = [_kind(name, kind) for name, kind in kinds_of(module).items()]
    text = text.strip()
    return "\n\n".join([f"## {title}", text[:1].upper() + text[1:], *kinds])


def _kind(name: str, kind: type[Fault]) -> str:
    own = own_parameters(kind)
    return "\n\n".join([f"### {name}", kind_doc(kind), *([_table(own)] if own else [])])


def _table(parameters: Iterable[Parameter]) -> str:
    rows = ([f"`{each.name}`", each.takes, each.default, each.doc] for each in parameters)
    lines: list[Sequence[str]] = [_COLUMNS, ["---"] * len(_COLUMNS), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main(path: str) -> None:
    """Rewrite the page at `path`."""
    with open(path, "w", encoding="utf-8") as page:
        page.write(render())


if __name__ == "__main__":
    main(sys.argv[1])
