"""A process that is killed (-9) when Stripe has answered what it asked, and before anything of that is written here.

Where a page opens two units of work, the first is committed before the kill. As a program:
`python -m tests.billing.dying ACT ARGUMENTS`, ACT being one of ACTS and ARGUMENTS JSON; the environment is the
application's. DIES_AFTER names the call whose answer it does not live to see, such as `POST /v1/refunds`.
"""

import json
import os
import signal
import sys
from collections.abc import Callable
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import stripe
from sqlalchemy.orm import Session

from webapp import create_app
from webapp.billing.checkout import open_checkout
from webapp.billing.plan_change import change_plan, note_wish, preview_change
from webapp.billing.refunding import send_refund
from webapp.billing.subscribing import open_plan_checkout, prepare_checkout
from webapp.billing.subscription import Subscription
from webapp.billing.successor import begin_successor
from webapp.catalog.plan import Plan
from webapp.config import Settings
from webapp.database import unit_of_work

BASE_URL = "http://localhost:8000"


def buy(session: Session, *, purchase_id: int, email: str) -> None:
    open_checkout(session, purchase_id=purchase_id, email=email, base_url=BASE_URL)


def subscribe(session: Session, *, order_id: int, email: str) -> None:
    prepare_checkout(session, order_id=order_id, email=email)
    session.commit()  # as the page does
    open_plan_checkout(session, order_id=order_id, email=email, base_url=BASE_URL, tax=False)


def alter(session: Session, *, subscription_id: int, plan: str, moment: str) -> None:
    subscription = session.get_one(Subscription, subscription_id)
    change = preview_change(
        session,
        subscription=subscription,
        plan=session.get_one(Plan, plan),
        moment=datetime.fromisoformat(moment),
    )
    note_wish(session, subscription=subscription, change=change)
    session.commit()  # as the page does
    change_plan(session, subscription=subscription, change=change)


def refund(session: Session, *, refund_id: int) -> None:
    send_refund(session, refund_id=refund_id)


def succeed(session: Session, *, subscription_id: int) -> None:
    begin_successor(session, subscription_id=subscription_id)


ACTS: dict[str, Callable[..., None]] = {one.__name__: one for one in (buy, subscribe, alter, refund, succeed)}


class Dying(stripe.RequestsClient):
    """Hears nothing after the call that DIES_AFTER names."""

    def request(self, method: str, url: str, headers: Any, post_data: Any = None, **more: Any) -> Any:
        answer = super().request(method, url, headers, post_data, **more)
        if f"{method.upper()} {urlsplit(url).path}" == os.environ["DIES_AFTER"]:
            assert answer[1] == 200, answer
            os.kill(os.getpid(), signal.SIGKILL)
        return answer


def main() -> None:
    act, arguments = sys.argv[1:]
    settings = Settings.from_environment(dict(os.environ))
    app = create_app(settings)
    app.extensions["stripe"] = stripe.StripeClient(
        settings.stripe_secret_key, base_addresses={"api": settings.stripe_api_base or ""}, http_client=Dying()
    )
    with app.app_context(), unit_of_work() as session:
        ACTS[act](session, **json.loads(arguments))


if __name__ == "__main__":
    main()
