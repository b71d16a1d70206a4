"""From what pydantic finds to a problem that names the field, in the caller's language."""

from typing import Any, TypeVar

from flask_babel import gettext as _
from pydantic import BaseModel, ValidationError

from webapp.api.problems import Problem

Model = TypeVar("Model", bound=BaseModel)
_MOST_ERRORS = 20


def validated(model: type[Model], value: dict[str, Any]) -> Model:
    """`value` as that model. Raises 400 `invalid_request` with the first field, and all of them in `errors`."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        found = [_named(one) for one in error.errors(include_url=False, include_input=False)[:_MOST_ERRORS]]
    first = found[0]
    raise Problem(400, "invalid_request", first["detail"], field=first["field"], errors=found)


def _named(error: Any) -> dict[str, str]:
    context = error.get("ctx", {})
    field = context.get("field") or ".".join(_shown(part) for part in error["loc"])
    return {"field": field, "detail": str(_sentence(error["type"], field=field, context=context))}


def _shown(part: str | int) -> str:
    return "".join(character if character.isprintable() else "�" for character in str(part)[:64])


def _sentence(kind: str, *, field: str, context: dict[str, Any]) -> Any:
    if kind == "missing":
        return _("“%(field)s” is missing.", field=field)
    if kind == "extra_forbidden":
        return _("“%(field)s” is not known here.", field=field)
    if kind in ("int_type", "int_from_float", "int_parsing", "int_parsing_size"):
        return _("“%(field)s” must be a whole number, without quotes, fraction or exponent.", field=field)
    if kind == "greater_than_equal":
        return _("“%(field)s” must be at least %(bound)s.", field=field, bound=context["ge"])
    if kind == "less_than_equal":
        return _("“%(field)s” must be at most %(bound)s.", field=field, bound=context["le"])
    if kind == "string_type":
        return _("“%(field)s” must be text.", field=field)
    if kind in ("string_too_short", "too_short"):
        return _("“%(field)s” must not be empty.", field=field)
    if kind in ("string_too_long", "too_long"):
        return _("“%(field)s” must not be longer than %(bound)s.", field=field, bound=context["max_length"])
    if kind == "bool_type":
        return _("“%(field)s” must be true or false.", field=field)
    if kind in ("dict_type", "model_type"):
        return _("“%(field)s” must be an object.", field=field)
    if kind == "list_type":
        return _("“%(field)s” must be a list.", field=field)
    if kind == "literal_error":
        return _("“%(field)s” must be one of: %(choices)s.", field=field, choices=context["expected"])
    return _sentence_of_ours(kind, field=field)


def _sentence_of_ours(kind: str, *, field: str) -> Any:
    if kind == "external_id":
        return _("“%(field)s” must be 1 to 128 of A–Z a–z 0–9 . _ - : @ +", field=field)
    if kind == "rfc3339":
        return _("“%(field)s” must be a time such as 2026-11-21T08:00:00Z (RFC 3339).", field=field)
    if kind == "metadata_size":
        return _("“%(field)s” must not be longer than 16 KB or nested deeper than 31 levels.", field=field)
    if kind == "either":
        return _("Give either “feature”, with a quantity if you like, or “amount” with a “description”.")
    if kind == "idempotency_key":
        return _("“%(field)s” must be 1 to 255 printable characters.", field=field)
    if kind == "web_address":
        return _("“%(field)s” must be an http or https URL of at most 2,000 characters.", field=field)
    if kind == "package_or_plan":
        return _("Give either “package” or “plan”.")
    if kind == "void_instead":
        return _("“%(field)s” must be at least 1: to charge nothing, void the hold.", field=field)
    return _("“%(field)s” is not valid.", field=field)
