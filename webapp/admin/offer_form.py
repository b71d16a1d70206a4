"""The fields that packages and plans have in common, and what must be right about them."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from wtforms import BooleanField, HiddenField, StringField
from wtforms.validators import AnyOf, DataRequired, Length, ValidationError

from webapp.admin.forms import Form, stripped
from webapp.admin.price_fields import PriceField, faults_of
from webapp.catalog.offers import CODE, MOST_CODE, PackageTerms, PlanTerms

MOST_NAME = 100
MOST_DESCRIPTION = 200


def _in_one_line(value: Any) -> Any:
    return " ".join(value.split()) if isinstance(value, str) else value


def one_of(values: Iterable[str]) -> StringField:
    """A choice; the page draws it."""
    return StringField(validators=[AnyOf(list(values), _l("Choose one of the list."))])


class OfferForm(Form):
    """A code, which is said once, a name, a description, prices, and the version that was seen."""

    code = StringField(filters=[stripped])
    name = StringField(
        filters=[stripped, _in_one_line], validators=[DataRequired(_l("Give it a name.")), Length(max=MOST_NAME)]
    )
    description = StringField(filters=[stripped, _in_one_line], validators=[Length(max=MOST_DESCRIPTION)])
    active = BooleanField()
    version = HiddenField()

    def __init__(self, **values: Any) -> None:
        """The form of this request; `values` are what it shows before anything was sent."""
        super().__init__(data=values)
        self.price_faults: dict[str, str] = {}

    def validate_code(self, field: StringField) -> None:
        if len(field.data or "") > MOST_CODE or not re.fullmatch(CODE, field.data or ""):
            raise ValidationError(
                _("Use small letters, digits and single hyphens between them, at most %(most)s.", most=MOST_CODE)
            )

    @property
    def seen(self) -> int:
        """The version that the person had before them; 0 where the form does not say it."""
        written = str(self.version.data or "")
        return int(written) if re.fullmatch(r"[0-9]{1,18}", written) else 0

    @property
    def is_priced(self) -> bool:
        """Whether it has prices at all."""
        return True

    def terms(self) -> PackageTerms | PlanTerms:
        """What a form that was accepted promises."""
        raise NotImplementedError

    def find_price_faults(self, prices: Sequence[PriceField]) -> dict[str, str]:
        """Field name → what is wrong with the prices beyond how they were typed."""
        if self.is_priced and all(price.minor is None for price in prices):
            return {prices[0].name: str(_("Give it a price in at least one currency."))}
        return {}

    def accept(self, prices: Sequence[PriceField]) -> bool:
        """Whether all of it can be saved; else `messages` say what cannot."""
        sound = bool(self.validate_on_submit())
        self.price_faults = faults_of(prices) or self.find_price_faults(prices)
        return sound and not self.price_faults

    @property
    def messages(self) -> dict[str, str]:
        return {**super().messages, **self.price_faults}

    def show(self, field: str) -> str:
        """What stands in a field: as it was typed, else as it is."""
        return str(self[field]._value())
