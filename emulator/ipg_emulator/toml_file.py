"""Files of the user's in TOML."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable
from typing import Any


def read_toml(path: str | os.PathLike[str], error: Callable[[str], Exception]) -> dict[str, Any]:
    """What is in a file; when it cannot be read, or is no TOML, `error` is raised with the file's name and the reason."""
    try:
        with open(path, "rb") as file:
            return tomllib.load(file)
    except OSError as failure:
        raise error(f"{os.fspath(path)}: {failure.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as failure:
        raise error(f"{os.fspath(path)}: it is not TOML: {failure}") from None
