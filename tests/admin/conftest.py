"""People with a role, for the tests of the admin pages."""

from collections.abc import Callable

import pytest
from flask import Flask

from tests.credits.member import Member, member, new_member, shop, statements
from webapp.database import unit_of_work
from webapp.people.user import User

__all__ = ["member", "new_member", "shop", "statements"]


@pytest.fixture
def person(shop: Flask) -> Callable[..., Member]:
    """`person("translator", locale="de")` is signed in and has that role."""

    def make(role: str | None, **kwargs: str) -> Member:
        one = Member(shop, **kwargs)
        with shop.app_context(), unit_of_work() as session:
            session.query(User).filter_by(email=one.email).one().role = role
        return one

    return make
