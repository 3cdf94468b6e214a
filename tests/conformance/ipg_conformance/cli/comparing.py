"""`diff`: what changed from one report to a later one."""

from __future__ import annotations

import argparse

from ipg_conformance.report import ReportError, compare, read_report
from ipg_conformance.verdict import ExitCode


def diff(options: argparse.Namespace) -> int:
    """Print the difference; FAILED when the later report is worse.

    Raises:
        ReportError: a file cannot be read, or is no report.
    """
    try:
        difference = compare(read_report(options.before), read_report(options.after))
    except OSError as error:
        raise ReportError(f"{error.filename}: {error.strerror}") from None
    print(difference)
    return ExitCode.FAILED if difference.is_worse else ExitCode.CONFORMANT
