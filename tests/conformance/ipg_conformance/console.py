"""What a run says of itself on the console: its progress, what did not apply, and each failure."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable
from typing import TextIO

from ipg_protocol.trace import Towards

from ipg_conformance.case import FEATURES
from ipg_conformance.report.brief import shortened
from ipg_conformance.report.exchange import Line, lines_of, part_that_matters, wrong_byte_on_the_wire
from ipg_conformance.report.run import Result, Verdict, first_wrong_byte
from ipg_conformance.requirements import requirements
from ipg_conformance.verdict import WORDS

EXCHANGE_LINES = 12
LONGEST_LINE = 32
LONGEST_SAID = 160
"""Characters of what a line says; the report has it whole."""
LONGEST_TEXT = 400
IDS_SHOWN = 4
TOLD = {Verdict.FAIL, Verdict.NON_STRICT, Verdict.INCONCLUSIVE, Verdict.ERROR}
_CLEAR_LINE = "\r\x1b[K"


class Progress:
    """A counter that is drawn over on a terminal; there and elsewhere, one line for each feature that is through."""

    def __init__(self, total: int, stream: TextIO | None = None) -> None:
        self._total = total
        self._stream = stream or sys.stdout
        self._is_terminal = self._stream.isatty()
        self._done = 0
        self._feature = ""
        self._counts = Counter[Verdict]()

    def __call__(self, result: Result) -> None:
        feature = result.feature
        if feature != self._feature:
            self.finish()
            self._feature = feature
        self._counts[result.verdict] += 1
        self._done += 1
        if self._is_terminal:
            self._stream.write(f"{_CLEAR_LINE}[{self._done}/{self._total}] {result.case}")
            self._stream.flush()

    def finish(self) -> None:
        """Write the line of the feature that is through."""
        if self._counts:
            clear = _CLEAR_LINE if self._is_terminal else ""
            self._stream.write(f"{clear}{FEATURES[self._feature]:<14}{self._text()}\n")
            self._stream.flush()
        self._counts.clear()

    def _text(self) -> str:
        return ", ".join(f"{self._counts[verdict]} {word}" for verdict, word in WORDS.items() if self._counts[verdict])


def account(results: Iterable[Result]) -> str:
    """What is to be told of a run: what did not apply, what is waived, and each case that did not pass."""
    found = list(results)
    waived = [f"waived: {_waiver_text(result)}" for result in found if result.waiver and result.verdict is not Verdict.FAIL]
    told = [f"\n{problem_text(result)}" for result in found if result.verdict in TOLD]
    return "\n".join([*_not_applicable_lines(found), *waived, *told])


def _not_applicable_lines(results: Iterable[Result]) -> list[str]:
    reasons: dict[str, list[str]] = {}
    for result in results:
        if result.verdict is Verdict.NOT_APPLICABLE:
            reasons.setdefault(result.predicate, []).append(result.case)
    return [f"n/a: {reason}: {_ids_text(ids)}" for reason, ids in reasons.items()]


def _ids_text(ids: list[str]) -> str:
    more = f" and {len(ids) - IDS_SHOWN} more" if len(ids) > IDS_SHOWN else ""
    return " ".join(ids[:IDS_SHOWN]) + more


def _waiver_text(result: Result) -> str:
    assert result.waiver is not None
    return f"{result.case} until {result.waiver.expires}: {result.waiver.reason}"


def problem_text(result: Result) -> str:
    """A case that did not pass: its requirements, expected, got, the last of the exchange, and the command that repeats it."""
    before = "" if result.was_prepared else "before "
    lines = [f"{result.verdict} {before}{result.case}  {' '.join(result.requirements)}", f"  {result.summary}"]
    lines += [f"  {name}: {requirements()[name].text}" for name in result.requirements if name in requirements()]
    lines += [f"  {name + ':':<10}{value}" for name, value in _facts(result).items() if value]
    lines += _exchange_lines(result)
    lines += [f"  {line}" for line in result.traceback.splitlines()]
    return "\n".join(lines + ([f"  repeat:   {result.repeat}"] if result.repeat else []))


def _facts(result: Result) -> dict[str, str]:
    if result.verdict is Verdict.INCONCLUSIVE:
        return {"because": result.what}
    expected, got = shortened(result.expected, result.got, LONGEST_TEXT)
    facts = {"check": result.what, "expected": "" if result.expected == result.what else expected, "got": got}
    place = first_wrong_byte(result.expected_bytes, result.got_bytes)
    if place is not None and result.got_bytes:
        is_, had_to_be = _byte(result.got_bytes, place), _byte(result.expected_bytes, place)
        facts["bytes"] = f"byte {place} is {is_}, and had to be {had_to_be}{_on_the_wire(result, is_)}"
    return facts


def _on_the_wire(result: Result, is_: str) -> str:
    """What stands in the trace for a zero byte of a payload."""
    lines = lines_of(result.exchange)
    marked = wrong_byte_on_the_wire(lines, result.expected_bytes, result.got_bytes)
    sent = _byte(lines[marked[0]].data, marked[1]) if marked else is_
    return "" if sent == is_ else f"; on the wire it is [{sent}], by COBS"


def _byte(data: bytes, place: int) -> str:
    return f"{data[place]:02x}" if place < len(data) else "nothing"


def _exchange_lines(result: Result) -> list[str]:
    lines = lines_of(result.exchange)
    marked = wrong_byte_on_the_wire(lines, result.expected_bytes, result.got_bytes)
    told = part_that_matters(len(lines), EXCHANGE_LINES, marked)
    head = [f"  exchange: (lines {told[0] + 1} to {told[-1] + 1} of {len(lines)})"] if len(told) < len(lines) else []
    return head + [_line_text(lines[number], marked[1] if marked and marked[0] == number else None) for number in told]


def _line_text(line: Line, wrong: int | None) -> str:
    end = LONGEST_LINE if wrong is None else max(LONGEST_LINE, wrong + 1)
    shown = [f"[{byte:02x}]" if place == wrong else f"{byte:02x}" for place, byte in enumerate(line.data[:end])]
    more = f" ... ({len(line.data)} bytes)" if len(line.data) > end else ""
    says = line.says if len(line.says) <= LONGEST_SAID else f"{line.says[:LONGEST_SAID].rpartition(' ')[0]} ..."
    return f"    {'>' if line.to is Towards.DEVICE else '<'} {' '.join(shown)}{more}  {says}"
