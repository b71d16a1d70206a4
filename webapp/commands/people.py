"""`flask admin create`."""

import sys

import click
from flask import current_app
from flask.cli import AppGroup

from webapp.config import Settings
from webapp.database import unit_of_work
from webapp.people.email_address import BadEmail
from webapp.people.passwords import FEWEST_CHARACTERS, MOST_CHARACTERS, BadPassword
from webapp.people.profile import BadName
from webapp.people.sign_up import EmailTaken, sign_up
from webapp.people.user import ROLES

admin_group = AppGroup("admin", help="People with a role.")


@admin_group.command("create")
@click.option("--email", required=True, help="The address to log in with.")
@click.option("--role", type=click.Choice(ROLES), default="owner", show_default=True)
@click.option("--name", default="", help="How the pages call this person.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input instead of asking.")
def create(email: str, role: str, name: str, password_stdin: bool) -> None:
    """Make a person with a role. The password is asked for, never an argument that others could see."""
    settings: Settings = current_app.config["SETTINGS"]
    password = _read_password() if password_stdin else _ask_password()
    try:
        with unit_of_work() as session:
            user = sign_up(
                session, email=email, password=password, name=name, locale=settings.default_locale, role=role
            )
            created = f"{user.email} is {role} now (account {user.external_id})."
    except EmailTaken:
        raise click.ClickException(f"There is already somebody with the address {email}.") from None
    except BadEmail as error:
        raise click.BadParameter(f"not an email address ({error.reason})", param_hint="--email") from None
    except BadName as error:
        raise click.BadParameter(f"not a usable name ({error.reason})", param_hint="--name") from None
    except BadPassword as error:
        raise click.ClickException(
            f"The password must have {FEWEST_CHARACTERS} to {MOST_CHARACTERS} characters ({error.reason})."
        ) from None
    click.echo(created)


def _read_password() -> str:
    return sys.stdin.readline().rstrip("\r\n")


def _ask_password() -> str:
    password: str = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    return password
