"""Fields that the forms of the admin pages share."""

from typing import Any

from flask_babel import lazy_gettext as _l
from wtforms import StringField
from wtforms.validators import DataRequired, Length

from webapp.people.views.forms import Form

__all__ = ["Form", "reason_field", "stripped", "text_field"]

MOST_REASON = 500


def stripped(value: Any) -> Any:
    """What was typed, without blanks around it, and without the one character that PostgreSQL cannot keep."""
    return value.replace("\0", "").strip() if isinstance(value, str) else value


def text_field(*, most: int = 200, required: object | None = None) -> StringField:
    """A line of text; `required` is what is said when it is empty."""
    validators: list[Any] = [Length(max=most)]
    if required is not None:
        validators.insert(0, DataRequired(required))
    return StringField(filters=[stripped], validators=validators)


def reason_field() -> StringField:
    """Why something is done; it must be said."""
    return text_field(most=MOST_REASON, required=_l("Say why; it is kept in the audit log."))
