"""What a run says of itself: progress and failures on the console, and JUnit XML."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TextIO
from xml.etree import ElementTree

from ipg_protocol import CATALOGUE, EVENTS, Frame, FrameReader, Kind, WireError, decode, decode_event, decode_reply
from ipg_protocol.frame import PROTOCOL_MAJOR, PROTOCOL_MINOR

from ipg_conformance.case import FEATURES, Result, Verdict

EXCHANGE_LINES = 12
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
        feature = result.case.feature
        if feature != self._feature:
            self.finish()
            self._feature = feature
        self._counts[result.verdict] += 1
        self._done += 1
        if self._is_terminal:
            self._stream.write(f"{_CLEAR_LINE}[{self._done}/{self._total}] {result.case.id}")
            self._stream.flush()

    def finish(self) -> None:
        """Write the line of the feature that is through."""
        if self._counts:
            clear = _CLEAR_LINE if self._is_terminal else ""
            self._stream.write(f"{clear}{FEATURES[self._feature]:<14}{_counts_text(self._counts)}\n")
            self._stream.flush()
        self._counts.clear()


def _counts_text(counts: Counter[Verdict]) -> str:
    return ", ".join(f"{counts[verdict]} {verdict.value}" for verdict in Verdict if counts[verdict])


def summary(results: Sequence[Result], selected: int) -> str:
    """The last line: CONFORMANT only if cases ran and none failed."""
    counts = Counter(result.verdict for result in results)
    verdict = "CONFORMANT" if is_conformant(results) else "NOT CONFORMANT"
    numbers = ", ".join(f"{counts[verdict]} {verdict.value}" for verdict in Verdict)
    not_run = f", {selected - len(results)} not run" if len(results) < selected else ""
    return f"{verdict} protocol {PROTOCOL_MAJOR}.{PROTOCOL_MINOR}: {numbers}{not_run}"


def is_conformant(results: Sequence[Result]) -> bool:
    """Whether cases ran and all that applied passed."""
    verdicts = {result.verdict for result in results}
    return Verdict.PASSED in verdicts and Verdict.FAILED not in verdicts


def failure_text(result: Result) -> str:
    """One failure: requirement, expected, got, and the last of the exchange in hex and decoded."""
    case = result.case
    lines = [
        f"FAILED {case.id}  {' '.join(case.requirements)}" if result.was_prepared else f"FAILED before {case.id}",
        f"  {case.summary}",
        f"  check:    {result.what}",
        f"  expected: {result.expected}",
        f"  got:      {result.got}",
    ]
    dropped = len(result.exchange) - EXCHANGE_LINES
    if dropped > 0:
        lines.append(f"  exchange: (the last {EXCHANGE_LINES} of {len(result.exchange)} writes and reads)")
    lines += [f"    {direction} {_hex(data)}  {_decoded(data)}" for direction, data in result.exchange[-EXCHANGE_LINES:]]
    return "\n".join(lines)


def not_applicable_text(results: Iterable[Result]) -> str:
    """What was not run, and why: one line per reason."""
    reasons: dict[str, list[str]] = {}
    for result in results:
        if result.verdict is Verdict.NOT_APPLICABLE:
            reasons.setdefault(result.what, []).append(result.case.id)
    return "\n".join(f"not applicable: {' '.join(ids)}: {reason}" for reason, ids in reasons.items())


def _hex(data: bytes) -> str:
    return data.hex(" ") if len(data) <= 48 else f"{data[:48].hex(' ')} ... ({len(data)} bytes)"


def _decoded(data: bytes) -> str:
    return "; ".join(_frame_text(frame) for frame in FrameReader().feed(data, 0)) or "no frame"


def _frame_text(frame: Frame) -> str:
    text = f"{frame.kind.name} {_name(frame)} #{frame.request_id}"
    try:
        if frame.kind is Kind.REQUEST:
            return f"{text} {decode(CATALOGUE[frame.opcode].request, frame.payload)}"
        if frame.kind is Kind.RESPONSE:
            reply = decode_reply(frame)
            return f"{text} {reply.status.name} {reply.body}" + (" REPLAYED" if reply.flags else "")
        return f"{text} {decode_event(frame)}" if frame.kind is Kind.EVENT else text
    except (WireError, KeyError):
        return f"{text} payload {frame.payload.hex()}"


def _name(frame: Frame) -> str:
    known = EVENTS if frame.kind is Kind.EVENT else CATALOGUE
    return known[frame.opcode].name if frame.opcode in known else f"{frame.opcode:#06x}"


def write_junit(results: Iterable[Result], path: Path, target: str) -> None:
    """Write the results as JUnit XML.

    Raises:
        OSError: the file cannot be written.
    """
    found = list(results)
    counts = Counter(result.verdict for result in found)
    suite = ElementTree.Element(
        "testsuite",
        name=f"ipg-conformance {target}",
        tests=str(len(found)),
        failures=str(counts[Verdict.FAILED]),
        errors="0",
        skipped=str(counts[Verdict.NOT_APPLICABLE]),
        time=f"{sum(result.seconds for result in found):.3f}",
    )
    for result in found:
        _add_case(suite, result)
    root = ElementTree.Element("testsuites")
    root.append(suite)
    ElementTree.indent(root)
    ElementTree.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)


def _add_case(suite: ElementTree.Element, result: Result) -> None:
    case = result.case
    element = ElementTree.SubElement(
        suite,
        "testcase",
        name=case.id,
        classname=f"ipg_conformance.{FEATURES[case.feature].replace(' ', '_')}",
        time=f"{result.seconds:.3f}",
    )
    properties = ElementTree.SubElement(element, "properties")
    for requirement in case.requirements:
        ElementTree.SubElement(properties, "property", name="requirement", value=requirement)
    if result.verdict is Verdict.FAILED:
        subject = " ".join(case.requirements) if result.was_prepared else "before the case"
        message = f"{subject}: {result.what}: expected {result.expected}, got {result.got}"
        ElementTree.SubElement(element, "failure", message=message).text = failure_text(result)
    elif result.verdict is Verdict.NOT_APPLICABLE:
        ElementTree.SubElement(element, "skipped", message=result.what)
