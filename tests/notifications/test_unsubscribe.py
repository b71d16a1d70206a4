"""No more mails about credits: by the settings, or by one click from the mail."""

import email
import email.policy
import re
from urllib.parse import urlsplit
from uuid import uuid4

from flask import Flask
from sqlalchemy import update

from jobs import send_mail
from tests.people.browser import Browser
from tests.people.conftest import ada, browser, new_browser
from tests.people.test_settings import SETTINGS, user_of
from webapp import ledger
from webapp.database import unit_of_work
from webapp.people.sign_up import sign_up
from webapp.people.user import User

__all__ = ["ada", "browser", "new_browser"]


def mail_to_somebody(app: Flask) -> tuple[int, email.message.EmailMessage]:
    with app.app_context(), unit_of_work() as session:
        user = sign_up(session, email=f"{uuid4().hex}@example.com", password="hazel-otter-cobalt-7")
        seq = ledger.grant(session, account_id=user.account_id, amount=5, source="s", actor="test").entry.seq
        args = {"user_id": user.id, "account_id": user.account_id, "grants": [[seq, 5]]}
        send_mail.effect(session, mail="credits_granted", **args)
        address, user_id = user.email, user.id
    folder = app.config["SETTINGS"].data_dir / "mail"
    found = [email.message_from_bytes(path.read_bytes(), policy=email.policy.default) for path in folder.iterdir()]
    [mine] = [one for one in found if one["To"] == address]
    return user_id, mine  # type: ignore[return-value]


def wants(app: Flask, user_id: int) -> bool:
    with app.app_context(), unit_of_work() as session:
        return session.get_one(User, user_id).credit_mails


def test_one_click_stops_the_mails_and_looking_at_the_page_does_not(app: Flask) -> None:
    user_id, mail = mail_to_somebody(app)
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    path = urlsplit(re.sub(r"\s", "", mail["List-Unsubscribe"]).strip("<>")).path
    client = app.test_client()
    assert "No more of these mails" in client.get(path).text
    assert wants(app, user_id)
    for _ in range(2):
        assert client.post(path, data={"List-Unsubscribe": "One-Click"}).status_code == 200
        assert not wants(app, user_id)
    assert "You get no mails about credits any more" in client.get(path).text
    with app.app_context(), unit_of_work() as session:
        user = session.get_one(User, user_id)
        args = {"user_id": user.id, "account_id": user.account_id, "grants": [[1, 5]]}
        before = len(list((app.config["SETTINGS"].data_dir / "mail").iterdir()))
        send_mail.effect(session, mail="credits_granted", **args)
        assert len(list((app.config["SETTINGS"].data_dir / "mail").iterdir())) == before


def test_nobody_unsubscribes_somebody_else(app: Flask) -> None:
    user_id, mail = mail_to_somebody(app)
    path = urlsplit(re.sub(r"\s", "", mail["List-Unsubscribe"]).strip("<>")).path
    client = app.test_client()
    # not its last character, of which two bits mean nothing
    forged_signature = path[:-2] + ("A" if path[-2] != "A" else "B") + path[-1]
    for forged in (forged_signature, "/no-credit-mails/x", "/no-credit-mails/%00"):
        assert client.post(forged).status_code == 400
        assert client.get(forged).status_code == 404
    assert wants(app, user_id)


def test_the_settings_turn_them_off_and_on(ada: Browser, app: Flask, session) -> None:  # type: ignore[no-untyped-def]
    assert user_of(session, ada).credit_mails
    assert 'name="credit_mails" value="1" checked' in ada.get("/settings").text
    ada.post("/settings", SETTINGS)
    assert not user_of(session, ada).credit_mails
    ada.post("/settings", {**SETTINGS, "credit_mails": "1"})
    assert user_of(session, ada).credit_mails
    session.execute(update(User).where(User.id == user_of(session, ada).id).values(credit_mails=True))
