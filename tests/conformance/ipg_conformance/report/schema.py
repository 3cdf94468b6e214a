"""The JSON Schema of report.json, made from `Report`: `python -m ipg_conformance.report.schema > report.schema.json`."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any, cast

import msgspec

from ipg_conformance.report.json import Report

_HEX = {"type": "string", "pattern": "^([0-9a-f]{2})*$"}


def schema() -> dict[str, Any]:
    """The schema, which names every key and takes no other."""
    made = cast("dict[str, Any]", _strict(msgspec.json.schema(Report)))
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Conformance report", **made}


def _strict(value: Any) -> Any:
    match value:
        case {"contentEncoding": "base64"}:
            return _HEX
        case dict():
            strict = {key: _strict(inner) for key, inner in cast("dict[str, Any]", value).items() if key != "default"}
            if "properties" in strict:
                strict |= {"required": list(strict["properties"]), "additionalProperties": False}
            return strict
        case list():
            return [_strict(inner) for inner in cast("Iterable[Any]", value)]
        case _:
            return value


def schema_text() -> str:
    """The schema as it is shipped."""
    return msgspec.json.format(msgspec.json.encode(schema()), indent=2).decode() + "\n"


if __name__ == "__main__":
    sys.stdout.write(schema_text())
