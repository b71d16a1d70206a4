"""The kinds of values that requests hold, each as strict as the contract."""

import json
import re
from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from webapp.api.strict_json import DEEPEST, depth_of
from webapp.api.times import read_time

MOST_CREDITS = 10**15
MOST_METADATA_BYTES = 16 * 1024
REFERS_TO = "x-schema"

NO_NUL = "^[^\\u0000]*$"  # which PostgreSQL's text cannot hold
EXTERNAL_ID = re.compile(r"[A-Za-z0-9._:@+-]{1,128}", re.ASCII)


def described_as(name: str) -> WithJsonSchema:
    """The OpenAPI document refers to its schema of that name here."""
    return WithJsonSchema({"type": "object", REFERS_TO: name})


class Request(BaseModel):
    """A body: unknown members are refused, and nothing is converted from one type to another."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


def _external_id(value: str) -> str:
    if not EXTERNAL_ID.fullmatch(value):
        raise PydanticCustomError("external_id", "must be 1 to 128 of A-Z a-z 0-9 . _ - : @ +")
    return value


def _time(value: Any) -> Any:
    if value is None:
        return None
    if not isinstance(value, str):
        raise PydanticCustomError("rfc3339", "must be an RFC 3339 date-time")
    try:
        return read_time(value)
    except ValueError:
        raise PydanticCustomError("rfc3339", "must be an RFC 3339 date-time") from None


def _metadata(value: dict[str, Any]) -> dict[str, Any]:
    size = len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())
    if size > MOST_METADATA_BYTES or depth_of(value) >= DEEPEST:
        raise PydanticCustomError("metadata_size", "must not be longer than 16 KB")
    return value


ExternalId = Annotated[
    str,
    AfterValidator(_external_id),
    WithJsonSchema({"type": "string", "pattern": f"^{EXTERNAL_ID.pattern}$", "examples": ["user-42"]}),
]
Credits = Annotated[int, Field(ge=1, le=MOST_CREDITS)]
Quantity = Annotated[int, Field(ge=1, le=MOST_CREDITS)]
Time = Annotated[datetime, BeforeValidator(_time), WithJsonSchema({"type": "string", "format": "date-time"})]
Metadata = Annotated[dict[str, Any], AfterValidator(_metadata)]
FeatureKey = Annotated[str, Field(min_length=1, max_length=100, json_schema_extra={"pattern": NO_NUL})]
ShortText = Annotated[str, Field(min_length=1, max_length=255, json_schema_extra={"pattern": NO_NUL})]
LongText = Annotated[str, Field(min_length=1, max_length=1000, json_schema_extra={"pattern": NO_NUL})]
