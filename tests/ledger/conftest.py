"""Fixtures of the ledger's tests."""

import pytest

from tests.ledger.model import Account


@pytest.fixture
def open_account():
    return Account


@pytest.fixture
def account(open_account):
    return open_account()
