"""GET /api/docs: the OpenAPI document as a page that needs no script.

What it tells of calls and objects are the document's own words, in English as in every other OpenAPI viewer, and
marked as such; only the frame around them is in the reader's language.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, cast

from apiflask import APIFlask
from flask import current_app, render_template
from markupsafe import Markup, escape

SPEC_PATH = "/api/v1/openapi.json"
_LIMITS = {
    "minimum": "≥ {}",
    "maximum": "≤ {}",
    "exclusiveMinimum": "> {}",
    "exclusiveMaximum": "< {}",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minItems": "at least {} items",
    "maxItems": "at most {} items",
    "pattern": "like {}",
}


@dataclass(frozen=True, kw_only=True)
class Field:
    """One parameter of a call or one member of an object. `type` may link to the object that it is."""

    name: str
    place: str
    type: Markup
    required: bool
    about: Markup


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What one status means, and the object that comes with it."""

    status: str
    about: Markup
    type: Markup


@dataclass(frozen=True, kw_only=True)
class Call:
    """One method of one path."""

    name: str
    method: str
    path: str
    summary: Markup
    about: Markup
    parameters: list[Field]
    body: Markup | None
    answers: list[Answer]


@dataclass(frozen=True, kw_only=True)
class Thing:
    """One object that calls take or answer."""

    name: str
    about: Markup
    fields: list[Field]


@dataclass(frozen=True, kw_only=True)
class Docs:
    """The whole page; `always` are the answers that every call may give, and its own list leaves out."""

    server: str
    calls: list[Call]
    always: list[Answer]
    things: list[Thing]


def show_docs() -> str:
    """The page; made of the document once for each process."""
    docs: Docs | None = current_app.extensions.get("api_docs")
    if docs is None:
        docs = current_app.extensions["api_docs"] = read_docs(cast(dict[str, Any], cast(APIFlask, current_app).spec))
    return render_template("api/docs.html", docs=docs, spec_path=SPEC_PATH)


def read_docs(spec: dict[str, Any]) -> Docs:
    """The parts of an OpenAPI document that the page shows."""
    calls = [
        _call(method, path, operation)
        for path, operations in spec["paths"].items()
        for method, operation in operations.items()
    ]
    always = [answer for answer in calls[0].answers if all(answer in call.answers for call in calls)]
    return Docs(
        server=spec["servers"][0]["url"],
        calls=[replace(call, answers=[one for one in call.answers if one not in always]) for call in calls],
        always=always,
        things=[_thing(name, schema) for name, schema in sorted(spec["components"]["schemas"].items())],
    )


def _call(method: str, path: str, operation: dict[str, Any]) -> Call:
    body = operation.get("requestBody")
    return Call(
        name=operation["operationId"],
        method=method.upper(),
        path=path,
        summary=_prose(operation.get("summary")),
        about=_prose(operation.get("description")),
        parameters=[_parameter(one) for one in operation.get("parameters", ())],
        body=_type(_schema_of(body)) if body else None,
        answers=[
            Answer(status=status, about=_prose(one.get("description")), type=_type(_schema_of(one)))
            for status, one in operation["responses"].items()
        ],
    )


def _schema_of(part: dict[str, Any]) -> dict[str, Any]:
    """The schema of a body or an answer: each has one media type here."""
    schemas: list[dict[str, Any]] = [content["schema"] for content in part.get("content", {}).values()]
    return schemas[0] if schemas else {}


def _parameter(parameter: dict[str, Any]) -> Field:
    schema = parameter["schema"]
    return Field(
        name=parameter["name"],
        place=parameter["in"],
        type=_type(schema),
        required=parameter.get("required", False),
        about=_about(schema, parameter.get("description")),
    )


def _thing(name: str, schema: dict[str, Any]) -> Thing:
    required = schema.get("required", ())
    fields = [
        Field(
            name=member,
            place="",
            type=_type(one),
            required=member in required,
            about=_about(one, one.get("description")),
        )
        for member, one in schema.get("properties", {}).items()
    ]
    return Thing(name=name, about=_prose(schema.get("description")), fields=fields)


def _type(schema: dict[str, Any]) -> Markup:
    """`integer`, `string (date-time)`, `list of DrawAnswer`, `string or null`: objects of ours as links."""
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[1]
        return Markup('<a href="#{0}">{0}</a>').format(name)
    for union in ("anyOf", "oneOf", "allOf"):
        if union in schema:
            return Markup(" or ").join(dict.fromkeys(_type(one) for one in schema[union]))
    if schema.get("type") == "array":
        return Markup("list of ") + _type(schema.get("items", {}))
    if "enum" in schema or "const" in schema:
        choices = schema.get("enum", [schema.get("const")])
        return Markup(" or ").join(Markup("<code>{}</code>").format(choice) for choice in choices)
    kind = str(schema.get("type", "any"))
    return escape(f"{kind} ({schema['format']})" if "format" in schema else kind)


def _about(schema: dict[str, Any], description: str | None) -> Markup:
    """The description, then the limits and the default."""
    notes: list[Markup] = []
    for one in (schema, *schema.get("anyOf", ())):
        notes += [escape(words.format(one[name])) for name, words in _LIMITS.items() if name in one]
    if schema.get("default") is not None:
        notes.append(Markup("default <code>{}</code>").format(schema["default"]))
    return Markup(" ").join(part for part in (_prose(description), Markup("; ").join(notes)) if part)


def _prose(text: str | None) -> Markup:
    """The text with `code` in backticks shown as code."""
    return Markup("").join(_pieces(text or ""))


def _pieces(text: str) -> Iterator[Markup]:
    for place, piece in enumerate(re.split(r"`([^`]+)`", text)):
        yield Markup("<code>{}</code>").format(piece) if place % 2 else escape(piece)
