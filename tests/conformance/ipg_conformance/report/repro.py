"""The commands that repeat what did not pass, as a file that a shell takes."""

from __future__ import annotations

from collections.abc import Iterator

from ipg_conformance.report.coverage import NOT_PASSED
from ipg_conformance.report.run import Run


def repro_text(run: Run) -> str:
    """The whole run's command, then one for each case that did not pass."""
    return "".join(f"{_one_line(line)}\n" for line in _lines(run))


def _lines(run: Run) -> Iterator[str]:
    yield f"# {run.conclusion}"
    yield f"# The whole run, of {run.started}:"
    yield run.command
    for result in run.results:
        if result.verdict in NOT_PASSED:
            yield f"# {result.verdict.value} {' '.join(result.requirements)}: {result.what}"
            yield result.repeat


def _one_line(text: str) -> str:
    """A comment that went on in a second line would be a command."""
    return " ".join(text.splitlines())
