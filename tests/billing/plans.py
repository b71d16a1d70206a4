"""People on plans, and what Stripe might say about their subscriptions, for tests."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from secrets import token_hex
from typing import Any

from flask import Flask
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from webapp import clock, ledger
from webapp.billing.entitlement import Entitlement, EntitlementPeriod, is_subscriber
from webapp.billing.following import lock_subscription, stand_as
from webapp.billing.granting_due import grant_due
from webapp.billing.proof import violations
from webapp.billing.stripe_customer import StripeCustomer
from webapp.billing.stripe_price import StripePrice
from webapp.billing.subscription_facts import InvoiceFacts, LineFacts, SubscriptionFacts
from webapp.catalog.plan import Plan, find_plan
from webapp.catalog.validity import add_months
from webapp.database import unit_of_work
from webapp.extensions import db
from webapp.people.sign_up import sign_up
from webapp.people.user import User

STUDIO = {
    "code": "studio",
    "name": "Studio",
    "credits_per_month": 5_000,
    "rollover_cap": 2_000,
    "billed": "monthly",
    "price": 4900,
}
YEARLY_STUDIO = {**STUDIO, "code": "studio-yearly", "name": "Studio, yearly", "billed": "yearly", "price": 49000}
_numbers = count(1)


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type, misc]


@dataclass
class Member:
    """Somebody with an account and nothing on it."""

    app: Flask
    user_id: int
    account_id: int
    customer_id: str

    def do(self, act: Callable[[Session], Any]) -> Any:
        """`act` in a unit of work; what it returns must be loaded."""
        with self.app.app_context(), unit_of_work() as session:
            found = act(session)
            session.flush()
            if isinstance(found, list):
                for one in found:
                    if hasattr(one, "_sa_instance_state"):
                        session.refresh(one)
            session.expunge_all()
            return found

    def user(self, session: Session) -> User:
        return session.get_one(User, self.user_id)

    def grants(self) -> list[tuple[str, int, int, int]]:
        """(source, amount, remaining, cost) of every grant, by when it began and what it is."""

        def read(session: Session) -> list[tuple[str, int, int, int]]:
            rows = session.execute(
                text(
                    "SELECT source, amount, remaining, cost_minor FROM ledger.grants_v WHERE account_id = :account"
                    " ORDER BY effective_at, source, grant_id"
                ),
                {"account": self.account_id},
            )
            return [(row[0], row[1], row[2], row[3]) for row in rows]

        return self.do(read)

    def subscribes(self) -> bool:
        def read(session: Session) -> bool:
            return is_subscriber(session, account_id=self.account_id, mode="sandbox", now=ledger.now(session))

        return self.do(read)

    def stretches(self) -> list[Entitlement]:
        return self.do(
            lambda session: list(
                session.scalars(
                    select(Entitlement)
                    .where(Entitlement.account_id == self.account_id)
                    .order_by(Entitlement.starts_at, Entitlement.id)
                )
            )
        )

    def periods(self) -> list[EntitlementPeriod]:
        return self.do(
            lambda session: list(
                session.scalars(
                    select(EntitlementPeriod)
                    .where(EntitlementPeriod.account_id == self.account_id)
                    .order_by(EntitlementPeriod.starts_at, EntitlementPeriod.entitlement_id)
                )
            )
        )

    def available(self) -> int:
        return self.do(lambda session: ledger.balance(session, account_id=self.account_id).available)

    def stand_as(self, facts: "SubscriptionFacts") -> None:
        def act(session: Session) -> None:
            subscription = lock_subscription(session, facts=facts)
            stand_as(session, subscription=subscription, facts=facts)

        self.do(act)


def make_member(app: Flask, *, time_zone: str = "UTC") -> Member:
    with app.app_context(), unit_of_work() as session:
        user = sign_up(
            session, email=f"m{token_hex(8)}@example.com", password="correct horse battery", time_zone=time_zone
        )
        customer_id = f"cus_{token_hex(8)}"
        session.add(StripeCustomer(account_id=user.account_id, mode="sandbox", stripe_customer_id=customer_id))
        session.flush()
        return Member(app=app, user_id=user.id, account_id=user.account_id, customer_id=customer_id)


def offer(session: Session, terms: dict[str, Any]) -> None:
    """A plan exists, with a price in euros."""
    terms = dict(terms)
    price = terms.pop("price")
    if find_plan(session, code=terms["code"]) is not None:
        return
    session.add(Plan(**{"description": "", "position": 9, "active": True, "rollover_cap": 0, **terms}))
    session.flush()
    session.execute(
        text("INSERT INTO plan_prices VALUES (:plan, 'EUR', :price)"), {"plan": terms["code"], "price": price}
    )


def price_of(app: Flask, code: str) -> str:
    """By which id Stripe knows the plan's price in euros."""
    with app.app_context(), unit_of_work() as session:
        plan = session.get_one(Plan, code)
        in_euros = (StripePrice.plan == code, StripePrice.currency == "EUR")
        at_price = StripePrice.price_minor == plan.price_minor("EUR")
        known = session.scalars(select(StripePrice.stripe_price_id).where(*in_euros, at_price)).first()
        if known is not None:
            return known
        price_id = f"price_{code}_{token_hex(4)}"
        session.add(
            StripePrice(
                mode="sandbox",
                stripe_price_id=price_id,
                stripe_product_id=f"prod_{code}",
                plan=code,
                currency="EUR",
                price_minor=plan.price_minor("EUR"),
                billed=plan.billed,
            )
        )
        return price_id


@dataclass
class Story:
    """The life of one subscription, told as Stripe would: `facts()` is how it stands at the end."""

    member: Member
    started_at: datetime
    id: str = field(default_factory=lambda: f"sub_{token_hex(8)}")
    status: str = "active"
    price_id: str | None = None
    trial_ends_at: datetime | None = None
    ended_at: datetime | None = None
    cancel_at_period_end: bool = False
    invoices: list[InvoiceFacts] = field(default_factory=list)
    refunds: list[dict[str, Any]] = field(default_factory=list)

    def invoice(
        self,
        reason: str,
        *lines: LineFacts,
        status: str = "paid",
        paid_at: datetime | None = None,
        created_at: datetime | None = None,
    ) -> InvoiceFacts:
        number = next(_numbers)
        created_at = created_at or max(line.starts_at for line in lines)
        total = sum(line.amount_minor for line in lines)
        made = InvoiceFacts(
            id=f"in_{number:08}",
            subscription_id=self.id,
            billing_reason=reason,
            status=status,
            total_minor=total,
            paid_minor=max(0, total) if status == "paid" else 0,
            currency="EUR",
            created_at=created_at,
            paid_at=(paid_at or created_at) if status == "paid" else None,
            hosted_url=f"https://invoice.example/{number}",
            payment_intent_id=f"pi_{number:08}",
            lines=lines,
        )
        self.invoices.append(made)
        return made

    def pay(self, code: str, starts_at: datetime, *, amount: int = 1200, **more: Any) -> InvoiceFacts:
        """An invoice for a whole period from then on: the first one, or a renewal."""
        self.price_id = price_of(self.member.app, code)
        months = 12 if code.endswith("-yearly") else 1
        ends_at = add_months(starts_at, months)
        reason = more.pop("reason", "subscription_cycle" if self.invoices else "subscription_create")
        line = LineFacts(
            price_id=self.price_id, starts_at=starts_at, ends_at=ends_at, amount_minor=amount, proration=False
        )
        return self.invoice(reason, line, **more)

    def subscribe_to(self, code: str) -> None:
        """The next invoice will be for that plan; what is paid stays as it is."""
        self.price_id = price_of(self.member.app, code)

    def change(self, old: str, new: str, moment: datetime, until: datetime, *, back: int, rest: int) -> InvoiceFacts:
        """What a change in the middle of a period costs: back for the old plan, rest for the new one."""
        self.price_id = price_of(self.member.app, new)
        part = {"starts_at": moment, "ends_at": until, "proration": True}
        return self.invoice(
            "subscription_update",
            LineFacts(price_id=price_of(self.member.app, old), amount_minor=-back, **part),  # type: ignore[arg-type]
            LineFacts(price_id=self.price_id, amount_minor=rest, **part),  # type: ignore[arg-type]
        )

    def refund(self, invoice: InvoiceFacts, amount_minor: int) -> dict[str, Any]:
        """So much of what the invoice took goes back; Stripe's own object."""
        self.refunds.append(
            {
                "id": f"re_{next(_numbers):08}",
                "object": "refund",
                "amount": amount_minor,
                "currency": "eur",
                "status": "succeeded",
                "created": 1_700_000_000 + len(self.refunds),
                "payment_intent": invoice.payment_intent_id,
                "metadata": {},
                "failure_reason": None,
            }
        )
        return self.refunds[-1]

    def facts(self, invoices: list[InvoiceFacts] | None = None) -> SubscriptionFacts:
        told = self.invoices if invoices is None else invoices
        last = max((line.ends_at for one in self.invoices for line in one.lines), default=self.started_at)
        return SubscriptionFacts(
            id=self.id,
            customer_id=self.member.customer_id,
            livemode=False,
            status=self.status,
            item_id="si_1",
            price_id=self.price_id,
            created_at=self.started_at,
            period_starts_at=self.started_at,
            period_ends_at=last,
            trial_starts_at=self.started_at if self.trial_ends_at else None,
            trial_ends_at=self.trial_ends_at,
            cancel_at_period_end=self.cancel_at_period_end,
            ended_at=self.ended_at,
            payment_method_id=None,
            invoices=tuple(sorted(told, key=lambda one: (one.created_at, one.id))),
        )

    def tell(self, invoices: list[InvoiceFacts] | None = None) -> None:
        """We look at the subscription now."""
        self.member.stand_as(self.facts(invoices))


def now_of(app: Flask) -> datetime:
    with app.app_context(), unit_of_work() as session:
        return ledger.now(session)


def advance(app: Flask, by: timedelta) -> datetime:
    """Time passes, and whatever the calendar grants is granted."""
    with app.app_context():
        with unit_of_work() as session:
            moment = ledger.advance_clock(session, by=by)
        clock.follow(db.session(), movable=True, at_once=True)
        while grant_now(app):
            pass
        book_expired(app)
        return moment


def grant_now(app: Flask) -> int:
    with app.app_context(), unit_of_work() as session:
        return grant_due(session, limit=100)


def book_expired(app: Flask) -> None:
    with app.app_context(), unit_of_work() as session:
        ledger.expire_due(session, limit=1000)


def assert_ledger_sound(app: Flask) -> None:
    """Every invariant holds, those of plans included."""
    with app.app_context(), unit_of_work() as session:
        assert session.execute(text("SELECT * FROM ledger.violations_v")).all() == []
        long_ago = ledger.now(session) - timedelta(days=10_000)
        assert violations(session, undone_since=long_ago) == []


def paid_late(invoice: InvoiceFacts, moment: datetime) -> InvoiceFacts:
    return replace(invoice, status="paid", paid_at=moment, paid_minor=invoice.total_minor)
