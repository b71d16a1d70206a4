"""The page of an act on one account: its form, then what it would do, then it is done."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from flask import abort, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy.orm import Session
from wtforms import IntegerField
from wtforms.validators import InputRequired, Optional, ValidationError

from webapp import ledger
from webapp.admin import acting
from webapp.admin.acts import Act, Refused
from webapp.admin.forms import Form, reason_field
from webapp.database import unit_of_work
from webapp.i18n.formats import credits_number
from webapp.ledger import Account

MOST_CREDITS = 10**12

Found = TypeVar("Found")


class ReasonForm(Form):
    """Nothing but why."""

    reason = reason_field()


@dataclass(frozen=True, kw_only=True)
class Input:
    """One field as the page shows it, above the reason; `value` stands in it at first. `kind` as HTML's type."""

    name: str
    label: object
    kind: str = "text"
    value: object = ""
    hint: object = ""
    more: Mapping[str, Any] = field(default_factory=dict)


def credits_input(name: str, label: object, *, value: object = "", hint: object = "", required: bool = True) -> Input:
    """A number of credits."""
    more = {"inputmode": "numeric", "min": 0, **({"required": True} if required else {})}
    return Input(name=name, label=label, kind="number", value=value, hint=hint, more=more)


def text_input(*, hint: object = "", required: bool = False) -> Input:
    """What stands in the customer's history."""
    more = {"maxlength": 200, **({"required": True} if required else {})}
    return Input(name="text", label=_l("What the customer reads"), hint=hint, more=more)


def credits_field(*, least: int = 1, required: bool = True) -> IntegerField:
    """A whole number of credits."""
    return whole_number_field(least=least, most=MOST_CREDITS, required=required)


def whole_number_field(*, least: int = 1, most: int, required: bool = True) -> IntegerField:
    """A whole number within bounds."""

    def within(_form: Any, field: Any) -> None:
        if field.data is not None and not least <= field.data <= most:
            words = {"least": credits_number(least), "most": credits_number(most)}
            raise ValidationError(_("This must be a whole number from %(least)s to %(most)s.", **words))

    first = InputRequired(_l("Say how many.")) if required else Optional()
    return IntegerField(validators=[first, within])


def find_account(account_id: int) -> Account:
    """The account; 404 where there is none."""
    return found(lambda session: ledger.get_account(session, account_id=account_id))


def found(read: Callable[[Session], Found]) -> Found:
    """What is read of one account, in a unit of work of its own; 404 where the ledger has no such thing."""
    try:
        with unit_of_work() as session:
            return read(session)
    except (ledger.AccountNotFound, ledger.EntryNotFound, ledger.HoldNotFound):
        abort(404)


def act_page(
    act: Act,
    *,
    account: Account,
    form: Form,
    arguments: Callable[[], Mapping[str, Any]],
    inputs: Sequence[Input] = (),
    lead: object = "",
    back: str = "",
    reason_hint: object = "",
) -> ResponseReturnValue:
    """Answer the form's page. `arguments` are asked for when the form is valid; the account's id is added to them."""
    home = back or f"/admin/accounts/{account.account_id}"

    def page(refusal: str = "") -> ResponseReturnValue:
        html = render_template(
            "admin/accounts/act.html", act=act, account=account, form=form, inputs=inputs, lead=lead, back=home,
            values=_values(form, inputs), refusal=refusal, reason_hint=reason_hint,
        )  # fmt: skip
        return html, 422 if form.errors or refusal else 200

    def refuse(refusal: Refused) -> ResponseReturnValue:
        if refusal.field and refusal.field in form:
            form.refuse(refusal.field, str(refusal.message))
            return page()
        return page(str(refusal.message))

    if not form.validate_on_submit():
        return page()
    return acting.handle(
        act,
        arguments={"account_id": account.account_id, **arguments()},
        reason=form["reason"].data,
        back=home,
        refuse=refuse,
    )


def _values(form: Form, inputs: Sequence[Input]) -> dict[str, object]:
    """What stands in the fields: what was typed, or what they begin with."""
    if request.method == "GET":
        return {one.name: one.value for one in inputs}
    return {one.name: (form[one.name].raw_data or [""])[0] for one in inputs}
