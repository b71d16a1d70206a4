"""No page asks the database more often than it must, however much an account has."""

import pytest

from tests.credits.member import Member

# The person's session is one of them, the balance at the top two.
MOST = {
    "/": 12,
    "/pricing": 12,
    "/credits": 16,
    "/credits/history": 8,
    "/credits/entries/2": 8,
    "/credits/usage": 9,
    "/credits/playground": 9,
    "/packages/starter/buy": 11,
    "/plans/pro/subscribe": 13,
    "/plan": 16,
    "/settings": 6,
    "/settings/security": 6,
    "/settings/data": 4,
    "/settings/delete": 10,
}


def spend_and_grant(member: Member, times: int) -> None:
    for number in range(times):
        member.grant(100 + number, f"Gift {number}")
        member.spend(3, feature="image", quantity=1, reference=f"job {number}")


def test_every_page_asks_a_bounded_number_of_times(member: Member, statements: list[str]) -> None:
    spend_and_grant(member, 3)
    for path in MOST:
        member.get(path)
    for path, most in MOST.items():
        statements.clear()
        assert member.get(path).status_code == 200, path
        assert len(statements) <= most, (path, len(statements), statements)


@pytest.mark.parametrize("path", ["/credits", "/credits/history", "/credits/entries/2", "/credits/usage"])
def test_more_entries_are_not_more_statements(member: Member, statements: list[str], path: str) -> None:
    spend_and_grant(member, 2)
    member.get(path)
    statements.clear()
    member.get(path)
    few = len(statements)
    spend_and_grant(member, 12)
    member.get(path)
    statements.clear()
    member.get(path)
    assert len(statements) <= few + 2  # the balance at the top is remembered for seconds only
