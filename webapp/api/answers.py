"""What the API answers with: the shapes of contract and OpenAPI in one place."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, NamedTuple, TypeVar

from pydantic import BaseModel, ConfigDict, PlainSerializer, WithJsonSchema

from webapp import ledger
from webapp.api.fields import described_as
from webapp.api.identifiers import hold_id
from webapp.api.times import write_time

UtcTime = Annotated[
    datetime, PlainSerializer(write_time, return_type=str), WithJsonSchema({"type": "string", "format": "date-time"})
]


HoldState = Annotated[str, WithJsonSchema({"type": "string", "enum": ["open", "captured", "voided", "lapsed"]})]


class Answer(BaseModel):
    """A body that we send."""

    model_config = ConfigDict(frozen=True)


Made = TypeVar("Made", bound=Answer)


class ExpiringAnswer(Answer):
    """`amount` credits that end at `expires_at`."""

    amount: int
    expires_at: UtcTime


class SuspendedAnswer(Answer):
    """Since when nothing is spent or bought, and why."""

    since: UtcTime
    reason: str


class AccountAnswer(Answer):
    """An account and what it holds now; `account` is the name that the product gave it."""

    account: str
    external_id: str
    name: str | None
    kind: str
    time_zone: str
    overdraft_limit: int
    metadata: dict[str, Any]
    created_at: UtcTime
    balance: int
    held: int
    available: int
    debt: int
    expiring: list[ExpiringAnswer]
    suspended: SuspendedAnswer | None
    version: str


class BalanceAtAnswer(Answer):
    """What an account had at the end of the moment `at`, with the meanings of `AccountAnswer`."""

    account: str
    at: UtcTime
    balance: int
    held: int
    available: int
    debt: int


class EntryAnswer(Answer):
    """One line of an account's history; `amount` is signed credits, `id` is `external_id:seq`.

    `hold` is the id of the hold that this spend captured, null for all others.
    """

    id: str
    account: str
    seq: int
    kind: str
    amount: int
    balance_after: int
    feature: str | None
    quantity: int | None
    description: str
    reference: str | None
    metadata: dict[str, Any]
    idempotency_key: str | None
    actor: str
    occurred_at: UtcTime
    booked_at: UtcTime
    hash: str
    hold: str | None


class GrantEntryAnswer(EntryAnswer):
    """The entry of a grant, and the grant's id."""

    grant: int


class DrawAnswer(Answer):
    """The slice of one grant that an entry took (negative) or gave (positive)."""

    grant: int
    source: str
    source_key: str | None
    amount: int
    expires_at: UtcTime | None


class HoldAnswer(Answer):
    """Credits reserved, in the balance but not available, until the hold is captured, voided or lapsed.

    `captured` is how many of them were spent; `draws` are the slices reserved, in the order in which they are spent.
    """

    id: str
    account: str
    amount: int
    captured: int
    state: HoldState
    feature: str | None
    quantity: int | None
    description: str
    reference: str | None
    metadata: dict[str, Any]
    expires_at: UtcTime
    created_at: UtcTime
    draws: list[DrawAnswer]


class HoldsAnswer(Answer):
    """The holds that are open now, the one that lapses first in front."""

    data: list[HoldAnswer]


class ExplainedEntryAnswer(EntryAnswer):
    """An entry, which credits it touched and the arithmetic that led to its amount."""

    grant: int | None
    draws: list[DrawAnswer]
    arithmetic: dict[str, Any] | None


class EntriesAnswer(Answer):
    """A page of history, newest first; pages may be short or empty while `next_cursor` is not null."""

    data: list[EntryAnswer]
    next_cursor: str | None


class ChargedItemAnswer(Answer):
    """An item of a batch that is charged, now or (`replayed`) by an earlier request with its idempotency key."""

    status: int
    replayed: bool
    entry: EntryAnswer


class RefusedItemAnswer(Answer):
    """An item of a batch that is refused, with the problem that it would have been answered by itself."""

    status: int
    problem: Annotated[dict[str, Any], described_as("Problem")]


class BatchAnswer(Answer):
    """What became of each item, in the order of the items."""

    results: list[ChargedItemAnswer | RefusedItemAnswer]


class EstimateAnswer(Answer):
    """What a spend would cost now and which credits it would draw; nothing is reserved.

    `share_of_balance` is the part of `available` that it would take, 0 to 1; null when there is nothing. `free` of the
    units cost nothing. `refused` is the code of what would refuse it however many credits there are, such as
    `account_suspended` or `limit_reached`; then it is not affordable.
    """

    cost: int
    available: int
    affordable: bool
    share_of_balance: float | None
    draws: list[DrawAnswer]
    rate_card_version: int | None
    free: int
    refused: str | None


class CheckoutSessionAnswer(Answer):
    """Where the customer pays."""

    url: str


def entry_answer(entry: ledger.Entry, *, external_id: str) -> EntryAnswer:
    """The entry as every list and every write answers it."""
    return _made_of(EntryAnswer, members_of(entry, external_id=external_id))


def charged_item_answer(written: ledger.Written, *, external_id: str) -> ChargedItemAnswer:
    """What became of an item of a batch that was charged, now or before."""
    entry = entry_answer(written.entry, external_id=external_id)
    return _made_of(ChargedItemAnswer, {"status": 201, "replayed": written.replayed, "entry": entry})


def _made_of(answer: type[Made], members: dict[str, Any]) -> Made:
    """What `model_construct` makes of them; looking for defaults and aliases takes that ten times as long."""
    made = answer.__new__(answer)
    object.__setattr__(made, "__dict__", members)
    object.__setattr__(made, "__pydantic_fields_set__", set(members))
    object.__setattr__(made, "__pydantic_extra__", None)
    object.__setattr__(made, "__pydantic_private__", None)
    return made


def members_of(entry: ledger.Entry, *, external_id: str) -> dict[str, Any]:
    """The members of an EntryAnswer."""
    number = entry.hold_number
    hold = None if number is None else hold_id(external_id=external_id, number=number)
    return {**entry.members(external_id=external_id), "hold": hold}


def hold_answer(hold: ledger.Hold, *, external_id: str, grants: Mapping[int, "SourceOfCredits"]) -> HoldAnswer:
    """The hold as it is; `grants` has every grant that it draws on."""
    return HoldAnswer(
        id=hold_id(external_id=external_id, number=hold.number),
        account=external_id,
        amount=hold.amount,
        captured=hold.captured,
        state=hold.state,
        feature=hold.feature,
        quantity=hold.quantity,
        description=hold.description,
        reference=hold.reference,
        metadata=hold.metadata,
        expires_at=hold.expires_at,
        created_at=hold.placed_at,
        draws=[
            draw_answer(grants[grant_id], amount=amount)
            for grant_id, amount in zip(hold.drawn_grants, hold.drawn_amounts, strict=True)
        ],
    )


class SourceOfCredits(NamedTuple):
    """What a draw tells of its grant."""

    grant_id: int
    source: str
    source_key: str | None
    expires_at: datetime | None


def draw_answer(grant: ledger.Grant | SourceOfCredits, *, amount: int) -> DrawAnswer:
    """`amount` signed credits of that grant."""
    return DrawAnswer(
        grant=grant.grant_id,
        source=grant.source,
        source_key=grant.source_key,
        amount=amount,
        expires_at=grant.expires_at,
    )
