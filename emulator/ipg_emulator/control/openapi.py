"""The OpenAPI document of the control channel, derived from the operations. What reads the bodies describes them: msgspec."""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus
from importlib.metadata import version
from inspect import getdoc
from typing import Any

import msgspec

from ipg_emulator.control.answers import Whereabouts
from ipg_emulator.control.fields import is_get
from ipg_emulator.control.operation import OPERATIONS, Operation, answer_type
from ipg_emulator.control.problem import MEDIA_TYPE, Problem
from ipg_emulator.control.stream import Listen

Json = dict[str, Any]

_REFERENCE = "#/components/schemas/{name}"
_EVERYWHERE = (401, 421)
_OF_A_DEVICE = (400, 404, 409, 503, *_EVERYWHERE)
_MEANING = {
    400: "the request does not have the form that is asked for",
    401: "the token is missing or wrong",
    404: "there is no such device",
    409: "the form is right, but this cannot be done; nothing has changed",
    413: "the body is too long",
    421: "the Host header does not name this machine's loopback",
    503: "the device is ending",
}
_ABOUT = (
    "Everything that can be done to the virtual devices of one process, beside their therapy links. For tests, on loopback."
)


def document(devices: int) -> Json:
    """The document, for so many devices."""
    schemas, components = _schemas()
    paths: Json = {
        "/openapi.json": {"get": _reading("openapi", "This document.", {"type": "object"})},
        "/v1/devices": {
            "get": _reading("devices", "The devices, and where their ports are.", schemas[tuple[Whereabouts, ...]])
        },
    }
    for name, operation in OPERATIONS.items():
        paths[f"/v1/devices/{{device}}/{name}"] = _path_of(name, operation, schemas, devices)
    paths["/v1/devices/{device}/events/stream"] = {"parameters": [_device(devices)], "get": _stream()}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Virtual IPG control", "version": version("virtual-ipg"), "description": _ABOUT},
        "servers": [{"url": "/"}],
        "security": [{"token": []}],
        "paths": paths,
        "components": {"schemas": components, "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
    }


def _schemas() -> tuple[dict[Any, Json], Json]:
    """The schema of each type that goes over the wire, and the components that they refer to."""
    answers = [answer_type(operation) for operation in OPERATIONS.values()]
    bodies = [operation for operation in OPERATIONS.values() if not is_get(operation)]
    kinds = [*bodies, *answers, Problem, tuple[Whereabouts, ...]]
    schemas, components = msgspec.json.schema_components(kinds, ref_template=_REFERENCE)
    return dict(zip(kinds, schemas, strict=True)), {name: _tidied(component) for name, component in components.items()}


def _tidied(component: Json) -> Json:
    """A component without the indentation of the docstring that describes it."""
    words = component.get("description")
    return component if words is None else component | {"description": " ".join(words.split())}


def _path_of(name: str, operation: type[Operation[Any]], schemas: dict[Any, Json], devices: int) -> Json:
    words = getdoc(operation) or name
    said: Json = {"operationId": name, "summary": words.partition("\n")[0], "description": words}
    answer = answer_type(operation)
    refusals = _OF_A_DEVICE if is_get(operation) else (*_OF_A_DEVICE, 413)
    said["responses"] = _responses(None if answer in {None, type(None)} else schemas[answer], refusals)
    if is_get(operation):
        return {"parameters": [_device(devices)], "get": said | {"parameters": _query(operation)}}
    body = schemas[operation]
    is_required = any(field.required for field in msgspec.structs.fields(operation))
    said["requestBody"] = {"required": is_required, "content": {"application/json": {"schema": body}}}
    return {"parameters": [_device(devices)], "post": said}


def _reading(identifier: str, summary: str, schema: Json) -> Json:
    return {"operationId": identifier, "summary": summary, "responses": _responses(schema, _EVERYWHERE)}


def _stream() -> Json:
    words = getdoc(Listen) or ""
    responses = _responses({"type": "string"}, _OF_A_DEVICE, "text/event-stream")
    last = {
        "name": "Last-Event-ID",
        "in": "header",
        "schema": {"type": "string"},
        "description": "as browsers send it on return",
    }
    parameters = [*_query(Listen), last]
    return {"operationId": "stream", "summary": words, "parameters": parameters, "responses": responses}


def _responses(schema: Json | None, refusals: Iterable[int], media_type: str = "application/json") -> Json:
    problem = {MEDIA_TYPE: {"schema": {"$ref": _REFERENCE.format(name=Problem.__name__)}}}
    responses: Json = {str(status): {"description": _MEANING[status], "content": problem} for status in sorted(refusals)}
    if schema is None:
        return {"204": {"description": "done"}} | responses
    return {"200": {"description": HTTPStatus.OK.phrase, "content": {media_type: {"schema": schema}}}} | responses


def _device(devices: int) -> Json:
    schema = {"type": "integer", "minimum": 0, "maximum": devices - 1}
    return {"name": "device", "in": "path", "required": True, "schema": schema, "description": "the number of the device"}


def _query(operation: type[Any]) -> list[Json]:
    """The parameters that an operation's fields become; one that may be left out is never null."""
    component = msgspec.json.schema_components([operation], ref_template=_REFERENCE)[1][operation.__name__]
    return [
        {"name": name, "in": "query", "required": name in component["required"]} | _without_null(schema)
        for name, schema in component["properties"].items()
    ]


def _without_null(schema: Json) -> Json:
    """A parameter's schema, and what it says, from a field's."""
    left = {key: value for key, value in schema.items() if (key, value) != ("default", None)}
    choices = [choice for choice in left.pop("anyOf", []) if choice != {"type": "null"}]
    left |= choices[0] if len(choices) == 1 else {"anyOf": choices} if choices else {}
    words = left.pop("description", None)
    return {"schema": left} | ({} if words is None else {"description": words})
