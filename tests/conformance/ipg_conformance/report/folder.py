"""Writes the reports of a run into a folder, each whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from tempfile import NamedTemporaryFile

from ipg_protocol.capture import NoCaptures

from ipg_conformance.report.capture import capture_of
from ipg_conformance.report.coverage import coverage_csv
from ipg_conformance.report.html import report_html
from ipg_conformance.report.json import report_json
from ipg_conformance.report.junit import junit_xml
from ipg_conformance.report.repro import repro_text
from ipg_conformance.report.run import Run

CAPTURE = "trace.pcapng"


class CannotWrite(Exception):
    """A report cannot be written; the text names the file and says why."""

    def __init__(self, path: Path, error: OSError) -> None:
        why = "a file has that name" if isinstance(error, FileExistsError) else error.strerror or str(error)
        super().__init__(f"cannot write {path}: {why}")


def prepare_folder(folder: Path) -> None:
    """Make the folder, and see that files can be written there: better before a run than after it.

    Raises:
        CannotWrite: they cannot.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise CannotWrite(folder, error) from None


def prepare_file(path: Path) -> None:
    """See that a file can be written: better before a run than after it.

    Raises:
        CannotWrite: it cannot.
    """
    try:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if not _is_special(path):
            with NamedTemporaryFile(dir=path.parent):
                pass
    except OSError as error:
        raise CannotWrite(path, error) from None


def write_reports(run: Run, folder: Path) -> list[str]:
    """Write all reports; returns what is to be told, such as that there is no capture without python-pcapng.

    Raises:
        CannotWrite: one cannot be written. Those before it are whole.
    """
    prepare_folder(folder)
    plain = report_json(run)
    write_file(folder / "report.json", plain)
    for name, make in _MAKERS.items():
        write_file(folder / name, make(run))
    write_file(folder / "report.html", report_html(run, hashlib.sha256(plain).hexdigest()).encode())
    return _write_capture(run, folder / CAPTURE)


_MAKERS: dict[str, Callable[[Run], bytes]] = {
    "junit.xml": junit_xml,
    "coverage.csv": lambda run: coverage_csv(run).encode(),
    "repro.txt": lambda run: repro_text(run).encode(),
}


def _write_capture(run: Run, path: Path) -> list[str]:
    try:
        capture = capture_of(run)
    except NoCaptures as missing:
        path.unlink(missing_ok=True)
        return [f"{path.name} was not written: {missing}"]
    write_file(path, capture)
    return []


def write_file(path: Path, data: bytes) -> None:
    """Write a file in one go, so that a full disk leaves the one before it and no half one; a pipe or device as it is.

    Raises:
        CannotWrite: it cannot be written.
    """
    begun = path if _is_special(path) else path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        begun.write_bytes(data)
        if begun is not path:
            begun.replace(path)
    except OSError as error:
        raise CannotWrite(path, error) from None
    finally:
        if begun is not path:
            _forget(begun)


def _is_special(path: Path) -> bool:
    """Whether what is there is no file, such as /dev/stdout: it is written to, and must not be replaced by a file."""
    return path.exists() and not path.is_file()


def _forget(begun: Path) -> None:
    """Remove what is left of a file that could not be finished, if it is there and lets itself be removed."""
    try:
        begun.unlink(missing_ok=True)
    except OSError:
        return
