"""What an account may still use: the ceilings of its plan, and what is free."""

from typing import Annotated, Any

from pydantic import WithJsonSchema
from sqlalchemy.orm import Session

from webapp.api.answers import Answer, UtcTime
from webapp.api.endpoint import Call, Endpoint, Reply, endpoint
from webapp.api.identifiers import check_external_id, find_account_id
from webapp.api.unit import one_snapshot
from webapp.billing.account_limits import Measure, limits_of
from webapp.catalog.pricing import FREE_PERS
from webapp.catalog.windows import PERS

ENDPOINTS: list[Endpoint] = []

LimitWindow = Annotated[str, WithJsonSchema({"type": "string", "enum": list(PERS)})]
FreeWindow = Annotated[str, WithJsonSchema({"type": "string", "enum": list(FREE_PERS)})]


class LimitAnswer(Answer):
    """At most `limit` units of the feature in each window, an hour, day or month of the account's time zone.

    `used` counts what is held, too. `resets_at` is when the next window begins.
    """

    feature: str
    window: LimitWindow
    limit: int
    used: int
    left: int
    resets_at: UtcTime


class AllowanceAnswer(Answer):
    """The first `quantity` units of the feature in each window cost nothing, where the dimensions are those of `when`.

    `left` of them are left until `resets_at`.
    """

    feature: str
    window: FreeWindow
    quantity: int
    used: int
    left: int
    resets_at: UtcTime
    when: dict[str, str]


class LimitsAnswer(Answer):
    """What the account may still use. On no plan (null), it is held to the ceilings of the free one."""

    account: str
    plan: str | None
    time_zone: str
    limits: list[LimitAnswer]
    allowances: list[AllowanceAnswer]


@endpoint(
    ENDPOINTS,
    "GET",
    "/accounts/<external_id>/limits",
    scopes=("accounts:read", "credits:spend"),
    answer=LimitsAnswer,
    unit=one_snapshot,
    problems=(404,),
)
def get_limits(session: Session, _call: Call[Any], *, external_id: str) -> Reply:
    """How much of its plan's ceilings and of its free allowances the account has left now."""
    account_id = find_account_id(session, external_id=check_external_id(external_id))
    found = limits_of(session, account_id=account_id)
    answer = LimitsAnswer(
        account=external_id,
        plan=found.plan,
        time_zone=found.time_zone,
        limits=[LimitAnswer(limit=one.quantity, **_members(one)) for one in found.ceilings],
        allowances=[
            AllowanceAnswer(quantity=one.quantity, when=dict(one.when), **_members(one)) for one in found.allowances
        ],
    )
    return Reply(body=answer)


def _members(one: Measure) -> dict[str, Any]:
    return {
        "feature": one.feature,
        "window": one.per,
        "used": one.used,
        "left": one.left,
        "resets_at": one.resets_at,
    }
