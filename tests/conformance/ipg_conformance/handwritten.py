"""Files that people write for a run, in TOML: whatever is wrong with one is told in one line."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def errors_translated(path: Path, kind: type[ValueError]) -> Generator[None]:
    """Turn what can go wrong with reading a file into one kind of error, which names the file."""
    try:
        yield
    except OSError as error:
        raise kind(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise kind(f"{path}: it is no text in UTF-8") from None
    except ValueError as error:  # those of tomllib and msgspec, too
        raise kind(f"{path}: {error}") from None
