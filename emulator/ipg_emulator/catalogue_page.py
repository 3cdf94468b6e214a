"""The catalogue page of the documentation in Markdown, rendered from the model files.

`python -m ipg_emulator.catalogue_page docs/models.md` brings the page up to date.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence

from ipg_emulator.catalogue import Fact, contacts_text, facts, settings_text, tally
from ipg_emulator.model import Confidence, DeviceModel, Provenance, load, names

_HEAD = """\
# Device models

Every range and figure of a model says where it comes from. **read**: it stands in the named source. **computed**: it follows
from figures that were read. **design**: it is our own choice, of no device. **UNVERIFIED**: it is general knowledge that was
checked against no source, and no fact of any device. No model is a copy of a product, whatever source it cites.

`ipg-emulator models NAME` shows all of a model; this page has its ranges, its limits and its programs. Both are rendered from
`emulator/ipg_emulator/models/NAME.toml`, whose first lines say what was taken where two sources disagree. A file of your own
in the same form is run by its path: `ipg-emulator run --model mine.toml`.
"""
_KEY_FIGURES = ("ranges.", "limits.", "leads[", "output.compliance_millivolts", "battery.capacity_milliamp_hours")


def render() -> str:
    """The whole page."""
    models = [load(name) for name in names()]
    head = ("model", "therapy", "contacts", "supply", *(confidence.value for confidence in Confidence))
    rows = ((f"[{m.name}](#{m.name})", m.therapy, contacts_text(m), m.battery.supply.value, *_counts(m)) for m in models)
    return "\n\n".join([_HEAD.rstrip(), _table(head, rows), *map(_section, models)]) + "\n"


def _counts(model: DeviceModel) -> Iterable[str]:
    return map(str, tally(model).values())


def _section(model: DeviceModel) -> str:
    waveforms = ", ".join(shape.name for shape in model.waveforms)
    slots = f"{model.program_slots} programs of up to {model.areas_per_program} areas"
    intro = f"{model.title}. Waveforms: {waveforms}. {slots}."
    if model.is_magnetic:
        intro += " Amplitudes are permille of the greatest output, also where a name says microamps."
    figures = (fact for fact in facts(model) if fact.name.startswith(_KEY_FIGURES))
    rows = ((f"`{fact.name}`", fact.value, fact.confidence, fact.origin.source) for fact in figures)
    return "\n\n".join(
        [
            f"## {model.name}",
            intro,
            _table(("figure", "value", "confidence", "source"), rows),
            _table(("program", "area", "settings", "confidence", "source"), _program_rows(model)),
        ]
    )


def _program_rows(model: DeviceModel) -> Iterator[Sequence[str]]:
    for program in model.programs:
        origin = Fact(program.name, "", Provenance(program.source, program.confidence))
        for number, area in enumerate(program.areas):
            yield program.name, str(number), settings_text(area), origin.confidence, program.source


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, ["---"] * len(head), *rows))


def main(path: str) -> None:
    """Rewrite the page at `path`."""
    with open(path, "w", encoding="utf-8") as page:
        page.write(render())


if __name__ == "__main__":
    main(sys.argv[1])
