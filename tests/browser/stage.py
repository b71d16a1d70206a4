"""A whole shop in this process, with somebody in every state in which a page can be.

Nothing moves by itself: there is neither worker nor cron, and Stripe's double does nothing in the background. A page
stays as it is while it is looked at, in as many languages, colours and widths as one likes.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg
from flask import Flask, abort
from flask.typing import ResponseReturnValue
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.exceptions import ServiceUnavailable

from tests.billing.plan_shop import PlanShop, on_plan
from tests.billing.plan_shop import start as start_plan
from tests.billing.shop import Buyer
from tests.browser.hostile import make_hostile
from tests.credits.member import Member
from tests.people.browser import Browser
from tests.stripe_sandbox.conftest import serve
from webapp import create_app, ledger
from webapp.catalog.install import install_shipped_catalog
from webapp.catalog.rate_book import quote
from webapp.catalog.unlock import create_unlock
from webapp.config import Settings
from webapp.database import unit_of_work
from webapp.errors import maintenance_page
from webapp.extensions import db
from webapp.notifications.unsubscribe import _signer
from webapp.people import sessions, suspension
from webapp.people.confirm_address import make_token
from webapp.people.password_reset import issue_token
from webapp.people.user import User
from webapp.seed import ADA, ADMIN, FREE, LEE, seed_demo
from webapp.stripe_sandbox import create_sandbox, install

# What Ada's first grant has left is 242, so that two grants pay for this.
IMAGES = 41
_DEMO = {"admin": ADMIN, "ada": ADA, "fred": FREE, "lee": LEE}


@dataclass
class Stage:
    """`cookies` say who one may be; `places` are what the paths of pages name in braces."""

    app: Flask
    base_url: str
    sandbox_url: str
    owner_url: str
    cookies: dict[str, str] = field(default_factory=dict)
    places: dict[str, Any] = field(default_factory=dict)
    _tag: str = ""

    def speak(self, tag: str) -> None:
        """Everybody has chosen this language."""
        if tag != self._tag:
            with psycopg.connect(self.owner_url, autocommit=True) as connection:
                connection.execute("UPDATE users SET locale = %s", [tag])
            self._tag = tag

    def path(self, path: str) -> str:
        return path.format(**self.places)

    def cookies_of(self, who: str) -> list[Any]:
        """What a browser holds that `who` is signed in with; nothing for a stranger."""
        return [{"name": "tallystick", "value": self.cookies[who], "url": self.base_url}] if who else []


@contextmanager
def open_stage(*, database_url: str, owner_url: str, redis_url: str, data_dir: str) -> Iterator[Stage]:
    """The shop is served at `base_url` until the block ends."""
    environment = {
        "DATABASE_URL": database_url,
        "DATABASE_OWNER_URL": owner_url,
        "REDIS_URL": redis_url,
        "DATA_DIR": data_dir,
    }
    install(owner_url)
    made: list[Flask] = []

    def sandbox(url: str) -> Flask:
        return create_sandbox(
            dsn=database_url, base_url=url, webhook_url=None, webhook_secret="whsec_sandbox", background=False
        )

    def shop(url: str) -> Flask:
        found = Settings.from_environment({**environment, "BASE_URL": url, "STRIPE_API_BASE": sandbox_url})
        made.append(_with_failures(create_app(found)))
        return made[0]

    with ExitStack() as stack:
        sandbox_url = stack.enter_context(serve(sandbox))
        base_url = stack.enter_context(serve(shop))
        app = made[0]
        yield Stage(app=app, base_url=base_url, sandbox_url=sandbox_url, owner_url=owner_url)
        with app.app_context():
            db.session.remove()
            db.engine.dispose()


def _with_failures(app: Flask) -> Flask:
    """What goes wrong on purpose, so that its pages can be seen."""

    @app.get("/fail/<int:status>")
    def fail(status: int) -> str:
        abort(status)

    @app.get("/fail/maintenance")
    def fail_for_maintenance() -> ResponseReturnValue:
        return maintenance_page(ServiceUnavailable(retry_after=60))

    return app


def cast_hostile(stage: Stage) -> None:
    """The shop has a catalog and one customer, who are hostile."""
    with stage.app.app_context(), unit_of_work() as session:
        install_shipped_catalog(session)
    member = make_hostile(stage.app, stage.owner_url)
    stage.cookies["hostile"] = member.cookie
    stage.places["entry"] = member.newest_entry


def cast_demo(stage: Stage) -> None:
    """The demo's people are there, and those whom only some pages know: broke, suspended, owing, buying."""
    from tests.browser.stage_admin import cast_admins_work

    seed_demo(stage.app)
    with psycopg.connect(stage.owner_url) as connection:
        connection.execute("UPDATE users SET confirmed_at = created_at")
    shop = PlanShop(app=stage.app, sandbox_url=stage.sandbox_url)
    for who, email in _DEMO.items():
        stage.cookies[who] = _sign_in(stage.app, email)
    for who, member in {"new": Member(stage.app), "broke": _make_broke(stage.app)}.items():
        stage.cookies[who] = member.cookie
    suspended = Member(stage.app)
    suspended.grant(40, "Gift")
    with stage.app.app_context(), unit_of_work() as session:
        suspension.suspend(session, account_id=suspended.account_id, reason="Chargebacks", actor="owner")
    stage.cookies["suspended"] = suspended.cookie
    stage.places |= _entries_of_ada(stage.app) | {"ada_images": _charge_ada(stage.app)}
    _buy(stage, shop)
    _subscribe(stage, shop)
    stage.places |= mailed_links(stage.app, FREE)
    _offer_unlock(stage.app)
    cast_admins_work(stage, shop, suspended=suspended.account_id)


def _sign_in(app: Flask, email: str) -> str:
    """The cookie of a browser in which they are signed in. Nobody types a password: how often one may is limited."""
    browser = Browser(app)
    with app.app_context(), unit_of_work() as session:
        user = session.scalars(select(User).where(User.email == email)).one()
        token = sessions.start(session, user_id=user.id, stay=False, ip="192.0.2.1", user_agent="")
    with browser.client.session_transaction() as cookie:
        cookie.update(_user_id=token, _fresh=True)
    return browser.cookie


def _make_broke(app: Flask) -> Member:
    """Somebody who owes: what they had spent was taken back."""
    member = Member(app)
    grant = member.grant(50, "Starter", source="purchase", cost_minor=900, cost_currency="EUR")
    member.spend(48, feature="image", quantity=6)
    member.write(ledger.revoke, grant_id=grant.seq, target=50, actor="stripe", reason="refunded")
    return member


def _entries_of_ada(app: Flask) -> dict[str, int]:
    """The newest of her entries of each kind."""
    with app.app_context():
        session: Session = db.session()
        account_id = session.scalars(select(User.account_id).where(User.email == ADA)).one()
        entries = ledger.entries(session, account_id=account_id, limit=1000).entries
        newest: dict[str, int] = {}
        for entry in entries:
            newest.setdefault(f"ada_{entry.kind}", entry.seq)
        db.session.remove()
    return newest


def _charge_ada(app: Flask) -> int:
    """The product charges Ada for so many images that two grants pay for them; the number of the entry."""
    with app.app_context(), unit_of_work() as session:
        account_id = session.scalars(select(User.account_id).where(User.email == ADA)).one()
        cost = quote(session, feature="image", quantity=IMAGES)
        entry = ledger.spend(
            session,
            account_id=account_id,
            amount=cost.credits,
            idempotency_key="images",
            actor="api:demo",
            feature="image",
            quantity=IMAGES,
            reference="report-1180",
            metadata={"size": "1024 × 1024", "style": "woodcut"},
            pricing=cost.pricing,
        ).entry
        return entry.seq


def _buy(stage: Stage, shop: PlanShop) -> None:
    """One purchase with each outcome, all by one buyer."""
    buyer = shop.new_buyer()
    stage.cookies["buyer"] = buyer.browser.cookie
    for outcome in ("success", "failed", "expired", "parked", "cancelled", "pending"):
        purchase = buyer.start()
        session_id = purchase.stripe_session_id or ""
        if outcome in ("success", "parked"):
            shop.press(session_id, "pay")
        if outcome == "parked":
            _change_price(stage.owner_url, session_id)
        if outcome == "failed":
            shop.press(session_id, "fail_later")
            shop.settle_delayed_payments()
        if outcome == "expired":
            shop.stripe.v1.checkout.sessions.expire(session_id)
        if outcome == "pending":
            shop.press(session_id, "delay")
        found = buyer.outcome(purchase)
        assert found == outcome
        stage.places[f"bought_{outcome}"] = f"/checkout/return?session_id={session_id}"


def _change_price(owner_url: str, session_id: str) -> None:
    with psycopg.connect(owner_url) as connection:
        connection.execute(
            "UPDATE stripe_sandbox.objects SET data = jsonb_set(data, '{amount_total}', '1') WHERE id = %s",
            [session_id],
        )


def _subscribe(stage: Stage, shop: PlanShop) -> None:
    """Somebody who left the pay page, and somebody whose plan waits for a payment."""
    leaving, owing = shop.new_buyer(), shop.new_buyer()
    stage.cookies |= {"leaving": leaving.browser.cookie, "owing": owing.browser.cookie}
    stage.places["plan_cancelled"] = f"/checkout/return?session_id={start_plan(leaving)}"
    stage.places["plan_success"] = f"/checkout/return?session_id={on_plan(shop, owing)}"
    with psycopg.connect(stage.owner_url) as connection:
        connection.execute("UPDATE subscriptions SET needs = 'address' WHERE user_id = %s", [_id_of(owing)])


def new_subscriber(stage: Stage) -> str:
    """The cookie of somebody who has just got on Pro."""
    shop = PlanShop(app=stage.app, sandbox_url=stage.sandbox_url)
    buyer = shop.new_buyer()
    on_plan(shop, buyer)
    return buyer.browser.cookie


def _id_of(buyer: Buyer) -> int:
    found: int = buyer.user.id
    return found


def mailed_links(app: Flask, email: str) -> dict[str, str]:
    """What the addresses end with that only a mail to that person has."""
    with app.app_context(), unit_of_work() as session:
        settings: Settings = app.config["SETTINGS"]
        user = session.scalars(select(User).where(User.email == email)).one()
        return {
            "reset": issue_token(session, user_id=user.id),
            "confirm": make_token(user, secret_key=settings.secret_key),
            "unsubscribe": _signer(settings).dumps(user.external_id),
        }


def _offer_unlock(app: Flask) -> None:
    with app.app_context(), unit_of_work() as session:
        create_unlock(
            session,
            key="archive",
            name="Archive",
            description="Everything that is older than a year.",
            features=["archive"],
            credits=4,
            duration_days=30,
        )
