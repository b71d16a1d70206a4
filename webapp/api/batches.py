"""Many spends in one request, each with its own idempotency key and its own outcome."""

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from functools import cache, partial
from typing import Annotated, Any

from flask_babel import gettext as _
from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError
from sqlalchemy import text
from sqlalchemy.orm import Session

from webapp import ledger
from webapp.api.answers import BatchAnswer, ChargedItemAnswer, RefusedItemAnswer, charged_item_answer
from webapp.api.endpoint import LONGEST_KEY, Call, Endpoint, Reply, endpoint
from webapp.api.fields import Request, described_as
from webapp.api.identifiers import find_account_ids
from webapp.api.pricing import BOOKED_BEFORE, Price, Prices
from webapp.api.problems import Problem, body_of, invalid
from webapp.api.rate_limit import rate_limit
from webapp.api.refusals import account_not_found, problem_of_refusal
from webapp.api.spends import SpendRequest, refuse_stale
from webapp.api.strict_json import Refused, read_batch, too_deep
from webapp.api.unit import one_transaction
from webapp.api.validation import validated
from webapp.billing.plan_of_account import plans_of
from webapp.catalog.counted_spends import are_counted, spend_many_counted
from webapp.catalog.rate_book import rates_in_force
from webapp.people.suspension import suspended_among

ENDPOINTS: list[Endpoint] = []

Result = ChargedItemAnswer | RefusedItemAnswer

MOST_ITEMS = 1_000
MOST_BODY_BYTES = 4 * 1024 * 1024


def _key(value: str) -> str:
    if not value.strip() or not value.isprintable():
        raise PydanticCustomError("idempotency_key", "must be printable")
    return value.strip()


class BatchItem(SpendRequest):
    """A spend and the idempotency key that names it."""

    idempotency_key: Annotated[str, Field(min_length=1, max_length=LONGEST_KEY), AfterValidator(_key)]


class BatchRequest(Request):
    """Up to 1,000 spends of any accounts; those of one account happen in the order given."""

    # Each item is read by itself, so that a malformed one harms no other.
    items: Annotated[list[Annotated[Any, described_as("BatchItem")]], Field(min_length=1, max_length=MOST_ITEMS)]


@endpoint(
    ENDPOINTS,
    "POST",
    "/spends/batch",
    scopes=("credits:spend",),
    body=BatchRequest,
    answer=BatchAnswer,
    is_write=False,  # each item has a key of its own
    problems=(409,),
    read_body=read_batch,
    most_body_bytes=MOST_BODY_BYTES,
    parts=(BatchItem,),
)
def create_spends(session: Session, call: Call[BatchRequest]) -> Reply:
    """Up to 1,000 spends at once: each is charged or refused as it would be by itself, and harms no other."""
    read = refuse_too_many([read_item(item, place) for place, item in enumerate(call.body.items)])
    items = [one for one in read if isinstance(one, BatchItem)]
    outcomes = iter(_charge(session, items, actor=call.actor))
    results = [next(outcomes) if isinstance(one, BatchItem) else _refused(one) for one in read]
    return Reply(body=BatchAnswer.model_construct(results=results))


def read_item(item: Any, place: int) -> BatchItem | Problem:
    """The item, or what is wrong with it."""
    if isinstance(item, Refused):
        return item.problem
    if not isinstance(item, dict):
        field = f"items.{place}"
        return invalid(_("“%(field)s” must be an object.", field=field), field=field)
    try:
        return validated(BatchItem, item)
    except Problem as problem:
        return problem
    except RecursionError:
        return too_deep()


def refuse_too_many(read: list[BatchItem | Problem]) -> list[BatchItem | Problem]:
    """The items, those refused that are beyond what may be asked about their account in this minute."""
    left = rate_limit().take_of_accounts(Counter(one.account for one in read if isinstance(one, BatchItem)))
    allowed: list[BatchItem | Problem] = []
    for one in read:
        if isinstance(one, BatchItem):
            left[one.account] -= 1
            allowed.append(one if left[one.account] >= 0 else rate_limit().account_refused())
        else:
            allowed.append(one)
    return allowed


def _charge(session: Session, items: Sequence[BatchItem], *, actor: str) -> list[Result]:
    """What became of each item; all that can be asked of the ledger is asked in one statement."""
    spends = as_spends(session, items, actor=actor, refuse_suspended=True)
    outcomes = iter(_outcomes(session, [one for one in spends if isinstance(one, ledger.SpendItem)]))
    results: list[Result] = []
    for item, spend in zip(items, spends, strict=True):
        outcome = spend if isinstance(spend, Problem) else next(outcomes)
        if isinstance(outcome, Problem):
            results.append(_refused(outcome))
        elif isinstance(outcome, ledger.LedgerRefusal):
            results.append(_refused(problem_of_refusal(outcome)))
        else:
            results.append(charged_item_answer(outcome, external_id=item.account))
    return results


def _outcomes(session: Session, spends: Sequence[ledger.SpendItem]) -> list[ledger.Written | ledger.LedgerRefusal]:
    if not are_counted(spends):
        return ledger.spend_many(session, items=spends)
    with one_transaction(session) as own:
        return spend_many_counted(own, items=spends, plans_of=plans_of)


def _refused(problem: Problem) -> RefusedItemAnswer:
    return RefusedItemAnswer.model_construct(status=problem.status, problem=body_of(problem))


def as_spends(
    session: Session, items: Sequence[BatchItem], *, actor: str, refuse_suspended: bool
) -> list[ledger.SpendItem | Problem]:
    """Each item with its account and price, or why there is none; a fixed number of statements for all of them."""
    accounts = find_account_ids(session, external_ids={item.account for item in items})
    suspended = suspended_among(session, account_ids=accounts.values()) if refuse_suspended else {}
    prices = Prices(rates_in_force(session, features={item.feature for item in items if item.feature is not None}))
    plans = cache(partial(plans_of, session, account_ids=accounts.values()))
    spends: list[ledger.SpendItem | Problem] = []
    doubtful: list[int] = []
    for place, item in enumerate(items):
        try:
            if item.account not in accounts:
                raise account_not_found()
            doubtful.append(place)
            if accounts[item.account] in suspended:
                raise problem_of_refusal(suspended[accounts[item.account]])
            price = prices.price(item, plan=partial(_plan, plans, accounts[item.account]))
            refuse_stale(item)
            doubtful.pop()
        except Problem as problem:
            spends.append(problem)
        else:
            spends.append(_as_spend(item, account_id=accounts[item.account], price=price, actor=actor))
    # What was booked once is answered again, even if the feature is gone or the moment too old by now.
    keys = {place: (accounts[items[place].account], items[place].idempotency_key) for place in doubtful}
    used = _used_keys(session, keys.values())
    for place, (account_id, key) in keys.items():
        if (account_id, key) in used:
            spends[place] = _as_spend(items[place], account_id=account_id, price=BOOKED_BEFORE, actor=actor)
    return spends


def _plan(plans: Callable[[], dict[int, str]], account_id: int) -> str | None:
    return plans().get(account_id)


def _as_spend(item: BatchItem, *, account_id: int, price: Price, actor: str) -> ledger.SpendItem:
    """As a single spend would ask for it, so that one repeats the other."""
    return ledger.SpendItem(
        account_id=account_id,
        amount=price.credits,
        idempotency_key=item.idempotency_key,
        actor=actor,
        feature=item.feature,
        quantity=item.quantity if item.feature else None,
        partial=item.partial,
        description=item.description or "",
        reference=item.reference,
        metadata=item.metadata,
        pricing=price.pricing,
        occurred_at=item.occurred_at,
        request=_request_of(item),
    )


def _request_of(item: BatchItem) -> dict[str, Any]:
    """`model_dump(mode="json")` of the item as a single spend; without a moment all of it is JSON as it stands."""
    if item.occurred_at is not None:
        return item.model_dump(mode="json", exclude={"idempotency_key"})
    request = dict(item.__dict__)
    del request["idempotency_key"]
    return request


_USED = text(
    "SELECT e.account_id, e.idempotency_key"
    " FROM unnest(CAST(:account_ids AS bigint[]), CAST(:keys AS text[])) AS wanted (account_id, key)"
    " JOIN ledger.entries_v e ON e.account_id = wanted.account_id AND e.idempotency_key = wanted.key"
)


def _used_keys(session: Session, wanted: Collection[tuple[int, str]]) -> set[tuple[int, str]]:
    if not wanted:
        return set()
    account_ids, keys = zip(*wanted, strict=True)
    rows = session.execute(_USED, {"account_ids": list(account_ids), "keys": list(keys)})
    return {(row.account_id, row.idempotency_key) for row in rows}
