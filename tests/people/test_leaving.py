"""Leaving for good, where nothing was bought: the person is forgotten, the books stay."""

from flask import Flask
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from tests.people.browser import PASSWORD, Browser
from tests.people.test_settings import user_of
from webapp import ledger
from webapp.people.first_credits import FirstCredits, person_of
from webapp.people.log_in import find_user
from webapp.people.portal_session import PortalSession, make_link
from webapp.people.suspension import find_suspension
from webapp.people.user import User


def known(session: Session, browser: Browser) -> User:
    """The person as they are now, to be asked when they are gone, too."""
    user = user_of(session, browser)
    session.expunge(user)
    return user


def leave(browser: Browser, password: str = PASSWORD) -> tuple[int, str]:
    answer = browser.post("/settings/delete", {"password": password})
    return answer.status_code, answer.location or answer.text


def test_what_is_lost_is_said_before(ada: Browser) -> None:
    page = ada.get("/settings/delete").text
    assert "100 credits are lost" in page
    assert "Kept, without your name" in page
    assert ada.email in page
    assert 'href="/settings/delete"' in ada.get("/settings/data").text


def test_who_leaves_is_forgotten_and_the_books_stay(app: Flask, session: Session, ada: Browser) -> None:
    user = known(session, ada)
    other = Browser(app)
    other.log_in(ada.email)
    assert leave(ada) == (303, "/")
    assert "Your account is deleted" in ada.get("/").text
    session.rollback()
    session.expire_all()
    assert find_user(session, email=ada.email) is None
    assert not other.signed_in
    assert other.log_in(ada.email).status_code == 422
    account = ledger.get_account(session, account_id=user.account_id)
    assert (account.name, account.time_zone, account.metadata) == ("", "UTC", {})
    assert [entry.amount for entry in ledger.entries(session, account_id=user.account_id).entries] == [100]
    left = session.execute(text("SELECT count(*) FROM sessions WHERE user_id = :id"), {"id": user.id}).scalar_one()
    assert left == 0


def test_links_of_the_product_to_the_account_end_too(session: Session, ada: Browser) -> None:
    user = known(session, ada)
    make_link(
        session,
        account_id=user.account_id,
        external_id=user.external_id,
        name="Ada",
        time_zone="UTC",
        locale=None,
        page="/credits",
        return_url="https://app.example.com/",
        made_by="key:1",
        secret_key="a key of the test",
    )
    session.commit()
    assert len(list_of_portal_sessions(session, user)) == 1
    assert leave(ada)[0] == 303
    assert list_of_portal_sessions(session, user) == []


def list_of_portal_sessions(session: Session, user: User) -> list[int]:
    session.rollback()
    found = select(PortalSession.id).where(PortalSession.account_id == user.account_id)
    return list(session.scalars(found))


def test_nobody_spends_from_the_account_of_somebody_who_left(session: Session, ada: Browser) -> None:
    user = known(session, ada)
    assert leave(ada)[0] == 303
    session.rollback()
    found = find_suspension(session, account_id=user.account_id)
    assert found is not None
    assert (found.reason, found.actor) == ("closed: its holder has left", f"user:{user.external_id}")


def test_who_comes_back_begins_with_nothing(app: Flask, session: Session, ada: Browser) -> None:
    before = known(session, ada)
    leave(ada)
    again = Browser(app)
    assert again.sign_up(ada.email).status_code == 303
    user = known(session, again)
    assert user.account_id != before.account_id
    assert ledger.balance(session, account_id=user.account_id).balance == 0
    assert session.get_one(FirstCredits, person_of(ada.email)).account_id == before.account_id


def test_the_password_is_asked_for(session: Session, ada: Browser) -> None:
    status, page = leave(ada, "not the password")
    assert status == 422
    assert "This is not your present password." in page
    assert leave(ada, "")[0] == 422
    assert ada.signed_in
    assert user_of(session, ada).name == "Ada"


def test_who_has_a_role_stays_until_it_is_taken_away(session: Session, ada: Browser) -> None:
    session.execute(text("UPDATE users SET role = 'owner' WHERE email = :email"), {"email": ada.email})
    session.commit()
    status, page = leave(ada)
    assert status == 422
    assert "You have a role here." in page
    assert user_of(session, ada).role == "owner"


def test_leaving_is_for_people_who_are_logged_in(browser: Browser) -> None:
    for path in ("/settings/data", "/settings/data.json", "/settings/delete"):
        assert browser.get(path).location == f"/log-in?next={path}"


def test_a_suspension_of_before_keeps_its_reason(session: Session, ada: Browser) -> None:
    user = known(session, ada)
    session.execute(
        text("INSERT INTO suspensions (account_id, reason, actor, since) VALUES (:a, 'fraud', 'cli:x', now())"),
        {"a": user.account_id},
    )
    session.commit()
    assert leave(ada)[0] == 303
    session.rollback()
    found = find_suspension(session, account_id=user.account_id)
    assert found is not None
    assert found.reason == "fraud"
    assert session.get(User, user.id) is None
