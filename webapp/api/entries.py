"""Entries: an account's history by pages, and why one of them was charged."""

from typing import Any

from sqlalchemy.orm import Session

from webapp import ledger
from webapp.api.answers import EntriesAnswer, ExplainedEntryAnswer, draw_answer, entry_answer, members_of
from webapp.api.endpoint import Call, Endpoint, Reply, endpoint
from webapp.api.identifiers import check_external_id, find_account_id, split_entry_id
from webapp.api.query import Parameter

ENDPOINTS: list[Endpoint] = []

KINDS = ("grant", "purchase", "spend", "refund", "expire", "revoke", "restore")
GRANTING = ("grant", "purchase")


@endpoint(
    ENDPOINTS,
    "GET",
    "/accounts/<external_id>/entries",
    scopes=("accounts:read",),
    answer=EntriesAnswer,
    query=(
        Parameter(name="limit", kind="integer", about="Most entries of a page.", default=50, high=200),
        Parameter(name="cursor", kind="integer", about="The `next_cursor` of the page before."),
        Parameter(name="kind", kind="choice", about="Entries of this kind only.", choices=KINDS),
        Parameter(name="feature", kind="text", about="Entries for this feature only."),
        Parameter(name="from", kind="time", about="Entries that occurred then or later."),
        Parameter(name="to", kind="time", about="Entries that occurred before then."),
    ),
    problems=(404,),
)
def list_entries(session: Session, call: Call[Any], *, external_id: str) -> Reply:
    """An account's history, newest first."""
    query = call.query
    page = ledger.entries(
        session,
        account_id=find_account_id(session, external_id=check_external_id(external_id)),
        before=query["cursor"],
        limit=query["limit"],
        kinds=[query["kind"]] if query["kind"] else None,
        feature=query["feature"],
        since=query["from"],
        until=query["to"],
    )
    data = [entry_answer(entry, external_id=external_id) for entry in page.entries]
    cursor = None if page.next_before is None else str(page.next_before)
    return Reply(body=EntriesAnswer.model_construct(data=data, next_cursor=cursor))


@endpoint(
    ENDPOINTS,
    "GET",
    "/entries/<entry>",
    scopes=("accounts:read",),
    answer=ExplainedEntryAnswer,
    problems=(404,),
)
def get_entry(session: Session, _call: Call[Any], *, entry: str) -> Reply:
    """One entry, which credits it touched and the arithmetic of its amount."""
    external_id, seq = split_entry_id(entry)
    account_id = find_account_id(session, external_id=external_id)
    found = ledger.entry(session, account_id=account_id, seq=seq)
    draws = ledger.draws(session, account_id=account_id, seq=seq)
    answer = ExplainedEntryAnswer.model_construct(
        **members_of(found, external_id=external_id),
        grant=found.seq if found.kind in GRANTING else None,
        draws=[draw_answer(draw.grant, amount=draw.amount) for draw in draws],
        arithmetic=found.pricing,
    )
    return Reply(body=answer)
