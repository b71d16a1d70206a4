"""What people are told by mail about payments for their plans, in their own language."""

from collections.abc import Callable

from flask_babel import gettext as _
from sqlalchemy.orm import Session

from webapp.billing.subscription import Subscription, SubscriptionInvoice
from webapp.catalog.plan import find_plan
from webapp.config import Settings
from webapp.i18n.content import translate
from webapp.i18n.formats import money
from webapp.i18n.locale import use_locale
from webapp.people.mails import Mail, write_mail
from webapp.people.user import User


def payment_failed(session: Session, *, settings: Settings, user_id: int, invoice: str) -> Mail | None:
    """The bank refused this invoice of a plan; None when it has been settled by now, or the person is gone."""
    user, row = session.get(User, user_id), session.get(SubscriptionInvoice, invoice)
    if user is None or row is None or row.status != "open":
        return None
    subscription = session.get_one(Subscription, row.subscription_id)
    if not subscription.lacks_payment:
        return None
    plan = find_plan(session, code=subscription.plan)
    with use_locale(user.locale):
        name = translate("plan", subscription.plan, plan.name if plan is not None else subscription.plan)
        return write_mail(
            "payment_failed",
            user=user,
            subject=_("The payment for “%(plan)s” did not come through", plan=name),
            preheader=_("Until it is paid, no new credits come. Those that you have stay yours."),
            plan=name,
            amount=money(row.total_minor - row.paid_minor, row.currency),
            link=row.hosted_url or f"{settings.base_url}/plan",
        )


# What the `mail` of an outbox row's args may name.
PAYMENT_MAILS: dict[str, Callable[..., Mail | None]] = {"payment_failed": payment_failed}
