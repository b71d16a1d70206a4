"""The OpenAPI document, made from the endpoints themselves, so that it cannot say anything else."""

import re
from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from webapp.api.endpoint import LONGEST_KEY, Endpoint
from webapp.api.fields import EXTERNAL_ID, NO_NUL, REFERS_TO
from webapp.api.keys import SCOPES
from webapp.api.problems import MIMETYPE
from webapp.api.query import Parameter

PREFIX = "/api/v1"

_COMMON_PROBLEMS = (400, 401, 403, 429, 503)
_BODY_PROBLEMS = (413, 415)
_MEANING = {
    200: "Done, or done before.",
    201: "Done.",
    202: "Stored; charged soon.",
    304: "What you kept still holds.",
    400: "`invalid_request`: the request is malformed; `field` says where.",
    401: "`unauthorized`: the key is missing, unknown, expired or revoked.",
    402: "`insufficient_credits`: with `required`, `available` and `buy_url`. The idempotency key stays unused.",
    403: "`missing_scope` or `address_not_allowed`; `account_suspended`, with the `reason`, when spending or buying.",
    404: "There is no such account, entry, hold or unlock.",
    409: "`in_progress`, `source_key_conflict`, `hold_closed`, or `already_subscribed` with the `plan`.",
    413: "`too_large`.",
    415: "`unsupported_media_type`: JSON in UTF-8 is expected.",
    422: "`idempotency_key_reused`, `exceeds_spend`, or `exceeds_hold`.",
    429: "`rate_limited` or `limit_reached`: wait `Retry-After` seconds.",
    503: "`unavailable`: wait `Retry-After` seconds and send the same request again.",
}
_LIMITS = {
    "RateLimit-Limit": {
        "description": "Requests a minute of this key or about this account, whichever leaves less.",
        "schema": {"type": "integer"},
    },
    "RateLimit-Remaining": {"description": "What is left of them in this minute.", "schema": {"type": "integer"}},
    "RateLimit-Reset": {"description": "Seconds until there are new ones.", "schema": {"type": "integer"}},
    "X-Request-Id": {"description": "The name of the request in our logs.", "schema": {"type": "string"}},
}
_NAMES = {
    "external_id": {"type": "string", "pattern": f"^{EXTERNAL_ID.pattern}$"},
    "entry": {"type": "string", "pattern": f"^{EXTERNAL_ID.pattern}:[1-9][0-9]{{0,17}}$"},
    "hold": {"type": "string", "pattern": f"^{EXTERNAL_ID.pattern}:h[1-9][0-9]{{0,17}}$"},
    "batch": {"type": "string", "format": "uuid"},
}
# Which calls go on from the answer of which, and what of it they take.
_LINKS: dict[str, dict[str, dict[str, str]]] = {
    "put_account": {
        "get_account": {"external_id": "$response.body#/external_id"},
        "list_entries": {"external_id": "$response.body#/external_id"},
    },
    "create_grant": {"get_entry": {"entry": "$response.body#/id"}},
    "create_spend": {
        "get_entry": {"entry": "$response.body#/id"},
        "refund_spend": {"entry": "$response.body#/id"},
    },
    "create_hold": {
        "get_hold": {"hold": "$response.body#/id"},
        "capture_hold": {"hold": "$response.body#/id"},
        "void_hold": {"hold": "$response.body#/id"},
    },
    "capture_hold": {"refund_spend": {"entry": "$response.body#/id"}},
    "queue_usage": {"get_usage": {"batch": "$response.body#/batch"}},
}
_TWO_WAYS = ("create_grant", "create_unlock")  # 201 when it was done now, 200 when it was so before
_SCHEMAS = "#/components/schemas/"
_PROBLEM = {
    "type": "object",
    "description": "What was refused and why (RFC 9457), in the language of Accept-Language.",
    "required": ["type", "title", "status", "detail", "code", "request_id"],
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string", "description": "Stable, for programs."},
        "request_id": {"type": "string"},
        "field": {"type": "string", "description": "What to mend."},
        "errors": {"type": "array", "items": {"type": "object"}},
        "required": {"type": "integer"},
        "available": {"type": "integer"},
        "buy_url": {"type": "string", "format": "uri"},
        "reason": {"type": "string"},
    },
}


def describe(spec: dict[str, Any], endpoints: Iterable[Endpoint], *, base_url: str) -> dict[str, Any]:
    """`spec` with our endpoints as its paths, their schemas, and how to authenticate."""
    endpoints = list(endpoints)
    models: list[type[BaseModel]] = []
    for one in endpoints:
        models += [model for model in (one.body, one.answer, *one.parts) if model is not None and model not in models]
    references, definitions = models_json_schema(
        [(model, "validation") for model in models], ref_template="#/components/schemas/{model}"
    )
    schemas = {model: references[model, "validation"] for model in models}
    paths: dict[str, Any] = {}
    for one in endpoints:
        path = PREFIX + re.sub(r"<(\w+)>", r"{\1}", one.path)
        paths.setdefault(path, {})[one.method.lower()] = _operation(one, schemas)
    return {
        **spec,
        "openapi": "3.1.0",
        "servers": [{"url": base_url}],
        "tags": [],
        "security": [{"key": []}],
        "paths": paths,
        "components": {
            "schemas": {**_linked(definitions.get("$defs", {})), "Problem": _PROBLEM},
            "securitySchemes": {
                "key": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": f"An operator key, `tsk_…`. Scopes: {', '.join(f'`{scope}`' for scope in SCOPES)}.",
                }
            },
        },
    }


def _linked(schema: Any) -> Any:
    """`schema` with a reference wherever one is meant (`described_as`)."""
    if isinstance(schema, dict):
        if REFERS_TO in schema:
            return {"$ref": _SCHEMAS + schema[REFERS_TO]}
        return {name: _linked(inner) for name, inner in schema.items()}
    return [_linked(inner) for inner in schema] if isinstance(schema, list) else schema


def _operation(one: Endpoint, schemas: dict[type[BaseModel], Any]) -> dict[str, Any]:
    summary = (one.work.__doc__ or "").strip()
    problems = _COMMON_PROBLEMS + one.problems + (_BODY_PROBLEMS if one.body else ())
    operation: dict[str, Any] = {
        "operationId": one.work.__name__,
        "summary": summary,
        "description": f"Scope: {' or '.join(f'`{scope}`' for scope in one.scopes) or 'any'}.",
        "parameters": [*_path_parameters(one.path), *map(_query_parameter, one.query), *_headers(one)],
        "responses": {
            **{str(status): _success(one, status, schemas[one.answer]) for status in _successes(one)},
            **({"304": {"description": _MEANING[304], "headers": _LIMITS}} if one.method == "GET" else {}),
            **{str(status): _problem(status) for status in sorted(set(problems))},
        },
    }
    if one.body is not None:
        operation["requestBody"] = {
            "required": not one.body_optional,
            "content": {"application/json": {"schema": schemas[one.body]}},
        }
    return operation


def _successes(one: Endpoint) -> tuple[int, ...]:
    return (200, 201) if one.method == "PUT" or one.work.__name__ in _TWO_WAYS else (one.status,)


def _success(one: Endpoint, status: int, schema: dict[str, Any]) -> dict[str, Any]:
    return {
        "description": _MEANING[status],
        "headers": {
            **({"Idempotent-Replayed": {"schema": {"type": "string", "const": "true"}}} if one.is_write else {}),
            **({"ETag": {"schema": {"type": "string"}}} if one.method == "GET" else {}),
            **_LIMITS,
        },
        "content": {"application/json": {"schema": schema}},
        **({"links": links} if (links := _links(one)) else {}),
    }


def _links(one: Endpoint) -> dict[str, Any]:
    followers = _LINKS.get(one.work.__name__, {})
    return {name: {"operationId": name, "parameters": parameters} for name, parameters in followers.items()}


def _problem(status: int) -> dict[str, Any]:
    return {
        "description": _MEANING[status],
        "headers": _LIMITS if status not in (401, 503) else {},
        "content": {MIMETYPE: {"schema": {"$ref": f"{_SCHEMAS}Problem"}}},
    }


def _path_parameters(path: str) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": _NAMES[name]} for name in re.findall(r"<(\w+)>", path)
    ]


def _query_parameter(parameter: Parameter) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    if parameter.kind == "integer":
        schema = {"type": "integer", "minimum": parameter.low, "maximum": parameter.high}
        if parameter.default is not None:
            schema["default"] = parameter.default
    elif parameter.kind == "time":
        schema["format"] = "date-time"
    elif parameter.kind == "choice":
        schema["enum"] = list(parameter.choices)
    else:
        schema.update(minLength=1, maxLength=255, pattern=NO_NUL)
    return {"name": parameter.name, "in": "query", "description": parameter.about, "schema": schema}


def _headers(one: Endpoint) -> list[dict[str, Any]]:
    if one.method == "GET":
        about = "The `ETag` of an answer that you kept: 304 without a body when it still holds."
        return [{"name": "If-None-Match", "in": "header", "description": about, "schema": {"type": "string"}}]
    if not one.is_write:
        return []
    return [
        {
            "name": "Idempotency-Key",
            "in": "header",
            "required": True,
            "description": "Your name for this request, printable: sent again, it is answered again and done once.",
            "schema": {"type": "string", "pattern": f"^[!-~]([ -~]{{0,{LONGEST_KEY - 2}}}[!-~])?$"},
        }
    ]
