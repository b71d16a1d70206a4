"""`flask admin create`."""

from flask import Flask
from sqlalchemy.orm import Session

from tests.people.browser import PASSWORD, unique_email
from webapp.people.log_in import authenticate, find_user


def run(app: Flask, *arguments: str, typed: str) -> tuple[int, str]:
    result = app.test_cli_runner().invoke(args=["admin", "create", *arguments], input=typed)
    return result.exit_code, result.output


def test_an_owner_is_made_with_a_password_from_standard_input(app: Flask, session: Session) -> None:
    email = unique_email("owner")
    code, output = run(app, "--email", email, "--password-stdin", typed=f"{PASSWORD}\n")
    assert code == 0, output
    assert f"{email} is owner now" in output
    assert PASSWORD not in output
    user = authenticate(session, email=email, password=PASSWORD)
    assert user is not None
    assert user.role == "owner"


def test_the_password_is_asked_for_twice(app: Flask, session: Session) -> None:
    email = unique_email("support")
    code, _ = run(app, "--email", email, "--role", "support", typed=f"{PASSWORD}\n{PASSWORD}\n")
    assert code == 0
    user = find_user(session, email=email)
    assert user is not None
    assert user.role == "support"


def test_what_will_not_do_is_said_and_makes_nobody(app: Flask, session: Session) -> None:
    email = unique_email("owner")
    for arguments, typed in (
        (["--email", "nobody"], f"{PASSWORD}\n"),
        (["--email", email], "short\n"),
        (["--email", email, "--role", "emperor"], f"{PASSWORD}\n"),
        (["--email", email, "--name", "a\u202eb"], f"{PASSWORD}\n"),
    ):
        code, output = run(app, *arguments, "--password-stdin", typed=typed)
        assert code not in {0, None}
        assert "Error" in output
        assert "Traceback" not in output
    assert find_user(session, email=email) is None


def test_an_address_is_given_once(app: Flask) -> None:
    email = unique_email("owner")
    assert run(app, "--email", email, "--password-stdin", typed=f"{PASSWORD}\n")[0] == 0
    code, output = run(app, "--email", email, "--password-stdin", typed=f"{PASSWORD}\n")
    assert code == 1
    assert "already somebody" in output
