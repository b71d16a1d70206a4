"""The forms: what was typed, and what is wrong with it in the reader's words."""

from typing import Any

from flask_babel import gettext as _
from flask_wtf import FlaskForm
from wtforms import BooleanField, PasswordField, SelectField, StringField
from wtforms.validators import ValidationError

from webapp.people import passwords
from webapp.people.email_address import BadEmail, parse_email
from webapp.people.passwords import BadPassword
from webapp.people.profile import MOST_NAME_CHARACTERS, SPEND_ORDERS, BadName, check_name, time_zones


class Form(FlaskForm):
    """A form whose page shows one message for each field."""

    @property
    def messages(self) -> dict[str, str]:
        """Field name → its first message, in the order of the page."""
        return {name: str(errors[0]) for name, errors in self.errors.items() if name and errors}

    def refuse(self, name: str, message: str) -> None:
        """What only the domain could find out."""
        self[name].errors = [*self[name].errors, message]


def email_message(reason: str) -> str:
    if reason == "missing":
        return str(_("Enter your email address."))
    if reason == "too_long":
        return str(_("This email address is too long: at most 254 characters."))
    return str(_("This is not a complete email address. It looks like name@example.com."))


def password_message(reason: str) -> str:
    if reason == "too_short":
        return str(_("Use at least %(count)s characters for the password.", count=passwords.FEWEST_CHARACTERS))
    if reason == "too_long":
        return str(_("Use at most %(count)s characters for the password.", count=passwords.MOST_CHARACTERS))
    if reason == "same_as_email":
        return str(_("The password must not be your email address."))
    return str(_("The password holds characters that cannot be stored."))


def name_message(reason: str) -> str:
    if reason == "too_long":
        return str(_("Use at most %(count)s characters for the name.", count=MOST_NAME_CHARACTERS))
    return str(_("The name holds invisible control characters."))


def _an_email(_form: Any, field: Any) -> None:
    try:
        parse_email(field.data or "")
    except BadEmail as error:
        raise ValidationError(email_message(error.reason)) from None


def _a_password(_form: Any, field: Any) -> None:
    if not field.data:
        raise ValidationError(_("Enter your password."))


def _a_new_password(_form: Any, field: Any) -> None:
    if not field.data:
        raise ValidationError(_("Choose a password."))
    try:
        passwords.check_new_password(field.data)
    except BadPassword as error:
        raise ValidationError(password_message(error.reason)) from None


def _a_name(_form: Any, field: Any) -> None:
    try:
        check_name(field.data or "")
    except BadName as error:
        raise ValidationError(name_message(error.reason)) from None


def _one_of_the_choices(_form: Any, field: Any) -> None:
    if field.data not in {value for value, *_rest in field.iter_choices()}:
        raise ValidationError(_("Choose one of the list."))


class SignUpForm(Form):
    email = StringField(validators=[_an_email])
    password = PasswordField(validators=[_a_new_password])
    name = StringField(validators=[_a_name])
    time_zone = StringField()


class LogInForm(Form):
    email = StringField(validators=[_an_email])
    password = PasswordField(validators=[_a_password])
    stay = BooleanField()


class ForgotPasswordForm(Form):
    email = StringField(validators=[_an_email])


class ResetPasswordForm(Form):
    password = PasswordField(validators=[_a_new_password])


class ChangePasswordForm(Form):
    current_password = PasswordField(validators=[_a_password])
    password = PasswordField(validators=[_a_new_password])


class LeaveForm(Form):
    password = PasswordField(validators=[_a_password])


class SettingsForm(Form):
    name = StringField(validators=[_a_name])
    locale = SelectField(validate_choice=False, validators=[_one_of_the_choices])
    time_zone = SelectField(validate_choice=False, validators=[_one_of_the_choices])
    spend_order = SelectField(validate_choice=False, validators=[_one_of_the_choices])
    credit_mails = BooleanField()

    def offer(self, *, locales: list[tuple[str, str]]) -> None:
        """Fill the lists that one may choose from."""
        self.locale.choices = locales
        self.time_zone.choices = [(zone, zone) for zone in time_zones()]
        self.spend_order.choices = [
            (SPEND_ORDERS[0], _("Free credits first")),
            (SPEND_ORDERS[1], _("Bought credits first")),
        ]
