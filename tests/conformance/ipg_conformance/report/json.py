"""The run as JSON, by the schema that is shipped as report.schema.json.

Bytes stand there as hexadecimal digits. Of cases that passed or do not apply, the exchange is left out; the capture has it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

import msgspec

from ipg_conformance.report.coverage import NOT_PASSED, NOT_TESTED, coverage_of
from ipg_conformance.report.exchange import lines_of
from ipg_conformance.report.run import Count, RequirementId, Result, Run, Verdict

SCHEMA_VERSION = 1

TIMES = frozenset({"started", "seconds", "at_us", "line"})
"""The keys under which two runs with one seed may differ."""

_HEX_FIELDS = frozenset({"data", "expected_bytes", "got_bytes"})


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What stands in report.json."""

    schema_version: int
    totals: dict[Verdict, Count]
    """How many cases ended with each verdict."""
    coverage: dict[RequirementId, str]
    """The verdict of each requirement: the worst of its cases, or NOT-TESTED."""
    run: Run


class _Version(msgspec.Struct):
    """What is read first, for a report of another version holds who knows what."""

    schema_version: int


class ReportError(ValueError):
    """A file is no report; the text says what is wrong with it."""


def report_json(run: Run) -> bytes:
    """The run as JSON, indented, its keys in the order of the declaration."""
    counts = Counter(result.verdict for result in run.results)
    report = Report(
        schema_version=SCHEMA_VERSION,
        totals={verdict: counts[verdict] for verdict in Verdict},
        coverage={covered.requirement.id: covered.verdict or NOT_TESTED for covered in coverage_of(run)},
        run=msgspec.structs.replace(run, results=tuple(map(_shortened, run.results))),
    )
    plain = msgspec.to_builtins(report, builtin_types=(bytes,))
    return msgspec.json.format(msgspec.json.encode(_with_hex(plain)), indent=1) + b"\n"


def _shortened(result: Result) -> Result:
    """A result as it is kept: what was read cut into frames, so that it does not depend on how it was read."""
    lines = lines_of(result.exchange) if result.verdict in NOT_PASSED else []
    return msgspec.structs.replace(result, exchange=tuple(line.record for line in lines))


def _with_hex(value: Any) -> Any:
    match value:
        case bytes():
            return value.hex()
        case dict():
            return {key: _with_hex(inner) for key, inner in cast("dict[str, Any]", value).items()}
        case list() | tuple():
            return [_with_hex(inner) for inner in cast("Iterable[Any]", value)]
        case _:
            return value


def read_report(path: Path) -> Report:
    """A report that was written before.

    Raises:
        OSError: the file cannot be read.
        ReportError: it is no report, or one of another version.
    """
    try:
        plain = msgspec.json.decode(path.read_bytes())
        if msgspec.convert(plain, _Version).schema_version != SCHEMA_VERSION:
            raise ReportError(f"{path}: it is no report of version {SCHEMA_VERSION}, which `run --out` writes as report.json")
        return msgspec.convert(_with_bytes(plain), Report, builtin_types=(bytes,))
    except ValueError as error:  # those of msgspec, too
        raise error if isinstance(error, ReportError) else ReportError(f"{path}: it is no report: {error}") from None


def _with_bytes(value: Any, key: str = "") -> Any:
    match value:
        case str() if key in _HEX_FIELDS:
            return bytes.fromhex(value)
        case dict():
            return {name: _with_bytes(inner, name) for name, inner in cast("dict[str, Any]", value).items()}
        case list():
            return [_with_bytes(inner) for inner in cast("Iterable[Any]", value)]
        case _:
            return value
