"""The form by which a payment is refunded, whatever it was for: how much, why, and what that would do."""

from collections.abc import Callable, Mapping
from typing import Any

from flask import render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import get_locale
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from wtforms.validators import ValidationError

from webapp.admin import acting
from webapp.admin.acts import Act, Done, Refused
from webapp.admin.forms import Form, reason_field, text_field
from webapp.admin.money_field import NotAnAmount, minor_units, plain_amount
from webapp.billing.refund_quote import RefundQuote
from webapp.billing.refunding import ExceedsPayment, NotRefundable
from webapp.database import unit_of_work
from webapp.i18n.formats import money


def refusal_of(refusal: NotRefundable | ExceedsPayment, *, currency: str) -> Refused:
    """Why it cannot be refunded like that, for who asked."""
    if isinstance(refusal, ExceedsPayment):
        if refusal.left_minor == 0:
            return Refused(_("Nothing is left of this payment to give back."), field="amount")
        left = money(refusal.left_minor, currency)
        return Refused(_("At most %(left)s can be given back.", left=left), field="amount")
    if refusal.state == "disputed":
        return Refused(_("The payment is disputed: the bank has the money until that is decided."))
    return Refused(_("There is no payment here that could be given back."))


def done_by(quote: RefundQuote, *, subject: str, account_id: int, refunded_minor: int) -> Done:
    """What the refund of the quote does, before and after."""

    def amount(minor: int) -> dict[str, Any]:
        return {"minor": minor, "currency": quote.currency}

    out_of_reach = {"out_of_reach": quote.gone} if quote.gone else {}
    return Done(
        subject=subject,
        account_id=account_id,
        before={
            "given_back": amount(refunded_minor),
            "left_of_payment": amount(quote.left_minor),
            "credits_of_payment": quote.unspent_credits,
            "balance": quote.balance_before,
            "debt": quote.debt_before,
        },
        after={
            "given_back": amount(refunded_minor + quote.amount_minor),
            "left_of_payment": amount(quote.left_minor - quote.amount_minor),
            "credits_of_payment": quote.unspent_credits - quote.taken,
            "balance": quote.balance_after,
            "debt": quote.debt_after,
            **out_of_reach,
        },
        credits=quote.balance_before - quote.balance_after,
        price_minor=quote.amount_minor,
        currency=quote.currency,
    )


def answer(
    act: Act,
    *,
    title: str,
    currency: str,
    arguments: Mapping[str, Any],
    back: str,
    quote: Callable[[], RefundQuote],
) -> ResponseReturnValue:
    """The form, then what it would do, then it is asked of Stripe. `quote` is for what is unspent, not yet asked."""

    class RefundForm(Form):
        """How much, in the currency's own form, and why."""

        amount = text_field(required=_l("Say how much."))
        reason = reason_field()

        def validate_amount(self, field: Any) -> None:
            try:
                self.minor = minor_units(field.data, currency=currency, locale=get_locale() or "en")
            except NotAnAmount:
                raise ValidationError(_("This is no amount in %(currency)s.", currency=currency)) from None

    form = RefundForm()

    def page(refusal: Refused | None = None) -> ResponseReturnValue:
        messages = dict(form.messages)
        if refusal is not None:
            messages[refusal.field or "form"] = str(refusal.message)
        try:
            with unit_of_work():
                now = quote()
        except (NotRefundable, ExceedsPayment) as refused:
            why = str(refusal_of(refused, currency=currency).message)
            html = render_template("admin/money/refund.html", title=title, back=back, now=None, why=why)
            return html, 422 if request.method == "POST" else 200
        suggested = now.unspent_minor or now.left_minor
        html = render_template(
            "admin/money/refund.html",
            title=title,
            back=back,
            now=now,
            messages=messages,
            amount=form.amount.data
            if form.amount.data is not None
            else plain_amount(suggested, currency=currency, locale=get_locale() or "en"),
            reason=form.reason.data or "",
        )
        return html, 422 if messages else 200

    if not form.validate_on_submit():
        return page()
    return acting.handle(
        act,
        arguments={**arguments, "amount_minor": form.minor},
        reason=form.reason.data,
        back=back,
        refuse=page,
    )
