"""The reports of a run: what it found as JSON, JUnit XML, one page of HTML, a table of coverage, a capture and the commands."""

from ipg_conformance.report.diff import Difference, compare
from ipg_conformance.report.folder import CannotWrite, prepare_file, prepare_folder, write_file, write_reports
from ipg_conformance.report.json import Report, ReportError, read_report
from ipg_conformance.report.junit import junit_xml
from ipg_conformance.report.run import Identity, Requirement, Result, Run, Verdict, Waiver, first_wrong_byte

__all__ = [
    "CannotWrite",
    "Difference",
    "Identity",
    "Report",
    "ReportError",
    "Requirement",
    "Result",
    "Run",
    "Verdict",
    "Waiver",
    "compare",
    "first_wrong_byte",
    "junit_xml",
    "prepare_file",
    "prepare_folder",
    "read_report",
    "write_file",
    "write_reports",
]
