"""What admins look at on the stage: something of everything that has a page, and one line in each list."""

import io
from datetime import timedelta
from typing import Any
from uuid import uuid4

import psycopg
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from tests.billing.plan_shop import PlanShop
from tests.browser.stage import Stage
from webapp import clock, ledger
from webapp.admin import approvals, audit
from webapp.admin.acts import Done
from webapp.admin.bulk_checking import check
from webapp.admin.bulk_reading import Defaults, read_file
from webapp.billing.purchase import Purchase
from webapp.billing.subscription import Subscription
from webapp.catalog.campaign import create_campaign
from webapp.catalog.rate_card import rate_card_in_force
from webapp.catalog.rate_card_draft import start_draft
from webapp.database import unit_of_work
from webapp.outbox import OutboxRow
from webapp.people import portal_session
from webapp.people.balance_frame import sign_frame
from webapp.people.user import User
from webapp.seed import ADA

_PAYMENT = "SELECT max(stripe_payment_intent_id) FROM subscription_invoices"


def cast_admins_work(stage: Stage, shop: PlanShop, *, suspended: int) -> None:
    """Places of the pages of admins; `suspended` is the account of somebody who is."""
    event = shop.all_events()[-1]
    assert shop.deliver(event).status_code == 200
    with stage.app.app_context(), unit_of_work() as session:
        ada = session.scalars(select(User).where(User.email == ADA)).one()
        by = _finance(ada)
        before, after = {"balance": 1_200}, {"balance": 2_200}
        subject = f"account:{ada.account_id}"
        done = Done(subject=subject, account_id=ada.account_id, before=before, after=after, credits=1_000)
        line = audit.record(
            session,
            by=by,
            act="account.grant",
            subject=done.subject,
            account_id=done.account_id,
            reason="For yesterday’s outage",
            before=before,
            after=after,
            credits=done.credits,
        )
        asked = approvals.ask(
            session,
            act="account.grant",
            arguments={"account_id": ada.account_id, "credits": 1_000, "days": 30, "text": ""},
            reason="For yesterday’s outage",
            by=by,
            done=done,
            submission=uuid4(),
        )
        session.flush()
        card = rate_card_in_force(session)
        assert card is not None
        start_draft(session, by=by.who)
        create_campaign(
            session,
            code="summer",
            name="Summer",
            credits=50,
            expires_days=30,
            starts_at=clock.now() + timedelta(days=30),
            ends_at=None,
        )
        stage.places |= {
            "account": ada.account_id,
            "suspended": suspended,
            "grant": 1,
            "hold": _hold(session, ada.account_id),
            "audit_line": line.id,
            "approval": asked.id,
            "event": event["id"],
            "card": card.version,
            "bulk": _bulk(session, by, ada.external_id),
            "purchase": session.scalars(select(func.min(Purchase.id))).one(),
            "subscription": session.scalars(select(func.min(Subscription.id))).one(),
            "outbox_row": session.scalars(select(func.max(OutboxRow.id))).one(),
            "frame": _frame(stage, ada.account_id),
            "portal": _portal(stage, session, ada),
        }
    with psycopg.connect(stage.owner_url) as connection:
        connection.execute("UPDATE portal_sessions SET expires_at = expires_at + interval '1 day'")
        row = connection.execute(_PAYMENT).fetchone()
        assert row is not None
        stage.places["payment"] = row[0]


def _finance(user: User) -> audit.Doer:
    """Another than the one who looks: nobody agrees to what they asked for themselves."""
    actor = f"admin:{user.external_id}"
    return audit.Doer(user_id=user.id, who="finance@example.com", actor=actor, role="finance", ip="192.0.2.1")


def _hold(session: Session, account_id: int) -> int:
    placed: Any = ledger.place_hold(
        session, account_id=account_id, amount=5, idempotency_key="render", actor="api:demo", description="Render"
    )
    number: int = placed.hold.number
    return number


def _bulk(session: Session, by: audit.Doer, external_id: str) -> int:
    """A file that was handed in, with a line that can be booked and one that cannot."""
    lines = f"account,credits\n{external_id},10\nnobody,10\n".encode()
    file = read_file(io.BytesIO(lines), defaults=Defaults(text="Prize"))
    return check(session, file=file, kind="grant", partial=False, twins=False, file_name="prizes.csv", by=by).id


def _frame(stage: Stage, account_id: int) -> str:
    expires_at = clock.now() + timedelta(hours=12)
    key = stage.app.config["SECRET_KEY"]
    return sign_frame(account_id=account_id, locale=None, expires_at=expires_at, secret_key=key)


def _portal(stage: Stage, session: Session, ada: User) -> str:
    key = stage.app.config["SECRET_KEY"]
    link = portal_session.make_link(
        session,
        account_id=ada.account_id,
        external_id=ada.external_id,
        name="Ada",
        time_zone="UTC",
        locale=None,
        page="credits",
        return_url="https://product.example/",
        made_by="api:demo",
        secret_key=key,
    )
    return portal_session.token_of(link.seed, secret_key=key)
