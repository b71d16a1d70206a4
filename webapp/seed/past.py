"""A past for the demo's people, relived: what they did and what befell them, each at its time, by the usual paths."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from flask import Flask, current_app
from sqlalchemy import text
from sqlalchemy.orm import Session

from webapp import clock, ledger, outbox
from webapp.billing.checkout import open_checkout, price_in, start_purchase
from webapp.billing.following import follow_subscription
from webapp.billing.free_plan import start_free
from webapp.billing.fulfilment import settle_purchase
from webapp.billing.granting_due import grant_due
from webapp.billing.report_days import forget_reports
from webapp.billing.settling_order import settle_order
from webapp.billing.stripe_api import mode
from webapp.billing.subscribing import open_plan_checkout, plan_price_in, prepare_checkout, start_order
from webapp.billing.subscription import current_subscription
from webapp.catalog.counted import settle_free
from webapp.catalog.package import find_package
from webapp.catalog.plan import Plan, find_plan
from webapp.catalog.rate_book import DimensionsRefused, UnknownFeature, rates_in_force
from webapp.config import Settings
from webapp.outbox import OutboxRow
from webapp.people.user import User
from webapp.seed.till import Till, open_till

FEATURES = ("chat-message", "image", "api-call", "export")
# Somebody else may be making the same people: that takes them seconds.
PATIENCE = "25s"

Act = Callable[["Past"], object]


class Past:
    """One person's past, in one unit of work. Without a till they paid for nothing, and lived on what is free.

    Prices are today's: the rate card may be younger than the past.
    """

    user: User

    def __init__(self, session: Session, *, till: Till | None) -> None:
        self.session = session
        self._till = till
        self._settings: Settings = current_app.config["SETTINGS"]
        self._rates = rates_in_force(session, features=FEATURES)

    def be_at(self, moment: datetime | None) -> None:
        """It is `moment`, here and for the till; None is the present."""
        ledger.turn_back(self.session, to=moment)
        clock.follow(self.session, movable=True, at_once=True)

    def live(self, deeds: list[tuple[datetime, Act]]) -> None:
        """Each deed is done at its time, in the order of time."""
        for moment, act in sorted(deeds, key=lambda deed: deed[0]):
            self.be_at(moment)
            act(self)

    def start_free(self) -> None:
        start_free(self.session, plan=self._plan("free"), user=self.user, mode=mode())

    def get_on(self, code: str) -> None:
        """They are on the plan, and have paid for it."""
        if self._till is None:
            return
        plan, user, currency = self._plan(code), self.user, self._settings.currencies[0]
        order = start_order(
            self.session,
            plan=plan,
            price_minor=plan_price_in(plan, currency=currency, accepted=self._settings.currencies),
            currency=currency,
            user=user,
            intent=f"demo-{code}",
            mode=mode(),
            shown_name=plan.name,
            locale=user.locale,
        )
        prepare_checkout(self.session, order_id=order.id, email=user.email)
        order = open_plan_checkout(
            self.session, order_id=order.id, email=user.email, base_url=self._settings.base_url, tax=False
        )
        assert order.stripe_session_id is not None
        self._till.pay(order.stripe_session_id)
        settle_order(self.session, order_id=order.id)

    def renew(self) -> None:
        """What the calendar and the till renew has been renewed."""
        if self._till is not None:
            self._till.let_time_act()
            subscription = current_subscription(self.session, account_id=self.user.account_id, mode=mode())
            if subscription is not None:
                follow_subscription(self.session, stripe_id=subscription.stripe_subscription_id)
        grant_due(self.session, limit=100)

    def buy(self, code: str) -> None:
        """They have bought the package."""
        if self._till is None:
            return
        package, user, currency = find_package(self.session, code=code), self.user, self._settings.currencies[0]
        assert package is not None, "the shipped catalog is there"
        purchase = start_purchase(
            self.session,
            package=package,
            price_minor=price_in(package, currency=currency, accepted=self._settings.currencies),
            currency=currency,
            user_id=user.id,
            account_id=user.account_id,
            external_id=user.external_id,
            intent=f"demo-{code}",
            mode=mode(),
            shown_name=package.name,
            locale=user.locale,
        )
        purchase = open_checkout(
            self.session, purchase_id=purchase.id, email=user.email, base_url=self._settings.base_url
        )
        assert purchase.stripe_session_id is not None
        self._till.pay(purchase.stripe_session_id)
        settle_purchase(self.session, purchase_id=purchase.id)

    def give(self, *, source: str, amount: int, description: str, lasts: timedelta | None) -> None:
        """They were given credits, that end after `lasts`; None is never."""
        ledger.grant(
            self.session,
            account_id=self.user.account_id,
            amount=amount,
            source=source,
            source_key=f"demo:{description}",
            actor=source,
            expires_at=None if lasts is None else ledger.now(self.session) + lasts,
            description=description,
        )

    def spend(self, *, feature: str, quantity: int, description: str, key: str) -> ledger.Entry | None:
        """They used the feature; None where they had too little for it, or it has no such price, and went without."""
        try:
            found = self._rates.quote(feature=feature, quantity=quantity)
        except (UnknownFeature, DimensionsRefused):
            return None
        if ledger.spendable(self.session, account_id=self.user.account_id, feature=feature) < found.credits:
            return None
        return ledger.spend(
            self.session,
            account_id=self.user.account_id,
            amount=found.credits,
            idempotency_key=f"demo:{key}",
            actor=self.user.actor,
            feature=feature,
            quantity=quantity,
            description=description,
            pricing=settle_free(found.pricing, units=0),  # in a shop with free uses the past had none
        ).entry

    def _plan(self, code: str) -> Plan:
        plan = find_plan(self.session, code=code)
        assert plan is not None, "the shipped catalog is there"
        return plan


@contextmanager
def relive(app: Flask, session: Session) -> Iterator[Past]:
    """A past to be lived in the caller's unit of work; it is the present again at the end.

    Mails that it put on their way are none any more: they were sent when it happened.
    """
    session.execute(text(f"SET LOCAL lock_timeout = '{PATIENCE}'"))
    try:
        with open_till(app, session) as till:
            past = Past(session, till=till)
            yield past
            past.be_at(None)
        forget_reports(session)  # they had been added up without this past
        for row_id, _job in outbox.take_pending(session):
            outbox.done(session, row=session.get_one(OutboxRow, row_id))
    except BaseException:
        clock.forget()  # the past is undone with the caller's unit of work
        raise
