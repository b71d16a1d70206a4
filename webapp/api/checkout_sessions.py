"""Checkout sessions: the product's backend begins a purchase, and its customer pays for it on Stripe's page."""

import hashlib
import json
import re
from typing import Annotated, Self
from urllib.parse import urlsplit

from flask import current_app
from flask_babel import gettext as _
from pydantic import AfterValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError
from sqlalchemy import select
from sqlalchemy.orm import Session

from webapp import clock
from webapp.api.answers import CheckoutSessionAnswer
from webapp.api.endpoint import Call, Endpoint, Reply, endpoint
from webapp.api.fields import ExternalId, Request, ShortText
from webapp.api.identifiers import find_account_id
from webapp.api.plan_checkout import SESSION_ID, Wanted, begin_plan, open_plan, page_of
from webapp.api.problems import Problem, invalid, language
from webapp.api.remembered import remembered
from webapp.api.suspended import nothing_sold
from webapp.api.unit import own_units
from webapp.billing.checkout import (
    CurrencyNotOffered,
    PackageNotFound,
    PackageNotOnSale,
    SubscribersOnly,
    choose_package,
    open_checkout,
    price_in,
    start_purchase,
)
from webapp.billing.entitlement import is_subscriber
from webapp.billing.purchase import Purchase
from webapp.billing.stripe_api import PaymentsUnavailable, mode
from webapp.catalog.package import Package
from webapp.config import Settings
from webapp.database import unit_of_work
from webapp.i18n.content import translate
from webapp.people.suspension import is_suspended
from webapp.people.user import User

ENDPOINTS: list[Endpoint] = []

PACKAGE, PLAN, FREE = "package", "plan", "free"
RETRY_AFTER_SECONDS = 30
_PRINTABLE = re.compile(r"[!-\[\]-~]{1,2000}", re.ASCII)  # no blanks and no backslash: browsers disagree about those


def _url(value: str) -> str:
    try:
        parts = urlsplit(value)
        good = bool(_PRINTABLE.fullmatch(value) and parts.scheme in ("http", "https") and parts.hostname)
        good = good and parts.port != 0
    except ValueError:  # such as http://[ or a port that is no number
        good = False
    if not good:
        raise PydanticCustomError("web_address", "must be an http or https URL")
    return value


_ADDRESS = (
    "^https?://[A-Za-z0-9](([A-Za-z0-9-]|\\.[A-Za-z0-9]){0,200}[A-Za-z0-9])?(:[1-9][0-9]{0,3})?(/[!-\\[\\]-~]*)?$"
)
WebAddress = Annotated[
    str, Field(max_length=2000, json_schema_extra={"format": "uri", "pattern": _ADDRESS}), AfterValidator(_url)
]


class CheckoutSessionRequest(Request):
    """Who buys what, and where Stripe leads back to; in the first currency that it has a price in, by default.

    `{CHECKOUT_SESSION_ID}` in `success_url` becomes Stripe's id of the session; nothing where there is nothing to pay.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [
                {"required": [one], "properties": {one: {"type": "string"}, other: {"type": "null"}}}
                for one, other in (("package", "plan"), ("plan", "package"))
            ]
        }
    )

    account: ExternalId
    package: ShortText | None = None
    plan: ShortText | None = None
    currency: Annotated[str, Field(min_length=3, max_length=3)] | None = None
    success_url: WebAddress
    cancel_url: WebAddress

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.package is None) == (self.plan is None):
            field = "package" if self.plan is None else "plan"
            raise PydanticCustomError("package_or_plan", "either package or plan", {"field": field})
        return self


@endpoint(
    ENDPOINTS,
    "POST",
    "/checkout-sessions",
    scopes=("checkout:write",),
    body=CheckoutSessionRequest,
    answer=CheckoutSessionAnswer,
    unit=own_units,
    problems=(404, 409, 422),
)
def create_checkout_session(_session: Session, call: Call[CheckoutSessionRequest]) -> Reply:
    """Begin a purchase, or get an account on a plan: send the customer to `url` to pay.

    The credits come when Stripe says that it is paid. A free plan begins at once, and `url` is your `success_url`. An
    account that is on that plan, or asks for a second subscription, is refused with 409 `already_subscribed` and the
    `plan`; a plan for life may stand beside a subscription.
    """
    with unit_of_work() as session:
        kind, number, replayed = _begin(session, call)
    # Committed: whatever happens from here on, the same key leads to the same purchase and the same page.
    if kind == FREE:
        url = call.body.success_url.replace(SESSION_ID, "")
        return Reply(body=CheckoutSessionAnswer(url=url), replayed=replayed)
    try:
        if kind == PLAN:
            return open_plan(number, settings=_settings())
        with unit_of_work() as session:
            return _open(session, number)
    except PaymentsUnavailable:
        detail = _("Stripe does not answer just now. Nothing was charged; try again with the same key.")
        raise Problem(503, "unavailable", detail, headers={"Retry-After": str(RETRY_AFTER_SECONDS)}) from None


def _begin(session: Session, call: Call[CheckoutSessionRequest]) -> tuple[str, int, bool]:
    """What the idempotency key names, and its id, begun now or before; and whether it was before."""
    account = call.body.account
    account_id = find_account_id(session, external_id=account)
    begun = remembered(
        session,
        resource=f"checkout:{account}",
        key=call.idempotency_key,
        request=call.body.model_dump(mode="json"),
        work=lambda: Reply(body=json.dumps(_start(session, call, account_id=account_id))),
    )
    assert isinstance(begun.body, str)
    found = json.loads(begun.body)
    kind, number = (PACKAGE, found) if isinstance(found, int) else found  # a number alone: begun by an older release
    return kind, number, begun.replayed


def _start(session: Session, call: Call[CheckoutSessionRequest], *, account_id: int) -> tuple[str, int]:
    body = call.body
    if body.plan is None:
        return PACKAGE, _start_purchase(session, call, account_id=account_id).id
    wanted = Wanted(
        account_id=account_id,
        external_id=body.account,
        plan=body.plan,
        currency=body.currency,
        success_url=body.success_url,
        cancel_url=body.cancel_url,
        idempotency_key=call.idempotency_key,
    )
    order_id = begin_plan(session, wanted, settings=_settings())
    return (FREE, 0) if order_id is None else (PLAN, order_id)


def _start_purchase(session: Session, call: Call[CheckoutSessionRequest], *, account_id: int) -> Purchase:
    body = call.body
    if is_suspended(session, account_id=account_id):
        raise nothing_sold(session, account_id=account_id)
    user = session.scalars(select(User).where(User.account_id == account_id)).one_or_none()
    subscriber = is_subscriber(session, account_id=account_id, mode=mode(), now=clock.now())
    package = _package(session, body.package or "", subscriber=subscriber)
    currency, price_minor = _price(package, body.currency)
    return start_purchase(
        session,
        package=package,
        price_minor=price_minor,
        currency=currency,
        user_id=user.id if user else None,
        account_id=account_id,
        external_id=body.account,
        intent="api:" + hashlib.sha256(call.idempotency_key.encode()).hexdigest(),
        mode=mode(),
        shown_name=translate("package", package.code, package.name),
        locale=language(),
        success_url=body.success_url,
        cancel_url=body.cancel_url,
    )


def _package(session: Session, code: str, *, subscriber: bool) -> Package:
    try:
        return choose_package(session, code=code, subscriber=subscriber)
    except PackageNotFound:
        raise invalid(_("There is no package “%(package)s”.", package=code), field="package") from None
    except PackageNotOnSale:
        raise invalid(_("This package is not for sale any more."), field="package") from None
    except SubscribersOnly:
        raise invalid(_("This package is for subscribers only."), field="package") from None


def _price(package: Package, wanted: str | None) -> tuple[str, int]:
    """The currency and the price in its minor unit."""
    accepted = _settings().currencies
    offered = [currency for currency in accepted if package.price_minor(currency) is not None]
    if not offered:
        raise invalid(_("This package is not for sale at the moment."), field="package")
    currency = offered[0] if wanted is None else wanted.upper()
    try:
        return currency, price_in(package, currency=currency, accepted=accepted)
    except CurrencyNotOffered:
        raise invalid(_("This package is not offered in that currency."), field="currency") from None


def _open(session: Session, purchase_id: int) -> Reply:
    purchase = session.get_one(Purchase, purchase_id)
    was_open = purchase.stripe_session_id is not None
    user = session.get(User, purchase.user_id) if purchase.user_id is not None else None
    purchase = open_checkout(
        session,
        purchase_id=purchase_id,
        email=user.email if user else None,
        base_url=_settings().base_url,
        tax=_settings().stripe_tax,
    )
    return Reply(body=CheckoutSessionAnswer(url=page_of(purchase)), replayed=was_open)


def _settings() -> Settings:
    settings: Settings = current_app.config["SETTINGS"]
    return settings
