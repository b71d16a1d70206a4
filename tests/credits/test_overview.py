"""GET /credits."""

import re
from collections.abc import Callable
from datetime import timedelta

from tests.credits.member import Member
from webapp import clock, ledger
from webapp.database import unit_of_work
from webapp.people.suspension import suspend


def test_nothing_yet_shows_the_way_out(member: Member) -> None:
    html = member.get("/credits").text
    assert "No notch has been cut yet" in html
    assert 'href="/pricing"' in html
    assert 'id="tally"' not in html


def test_balance_grants_and_latest_entries_are_shown(member: Member) -> None:
    member.grant(500, "Autumn bonus", expires_at=clock.now() + timedelta(days=100))
    member.grant(2000, "Standard", source="purchase", cost_minor=2900, cost_currency="EUR")
    member.spend(20, feature="image", quantity=2)
    html = member.get("/credits").text
    assert ">2,480<" in html
    assert "Autumn bonus" in html
    assert html.index("Autumn bonus") < html.index(">Standard<"), "in burn order"
    assert html.count("<tr data-entry=") == 3
    assert 'data-kind="purchase" data-amount="2000"' in html
    assert "480 expire on" in html


def test_page_and_fragment_show_the_same(member: Member) -> None:
    member.grant(42)
    page = member.get("/credits").text
    part = member.fragment("/credits", "credits").text
    assert "<html" in page
    assert "<html" not in part
    assert part.strip().startswith('<div class="wrap" id="credits"')
    assert ">42<" in part


def test_expired_credits_are_not_shown_as_there(member: Member) -> None:
    member.grant(70, "Old", expires_at=clock.now() + timedelta(seconds=1))
    member.grant(5, "New")
    member.write(lambda session, account_id: ledger.advance_clock(session, by=timedelta(seconds=5)))
    html = member.get("/credits").text
    assert 'data-available="5"' in html
    assert 'id="credits-now"><bdi>5</bdi>' in html
    assert html.count("<tr data-grant=") == 1


def test_many_grants_and_long_names_keep_the_page_whole(member: Member) -> None:
    for number in range(105):
        member.grant(10, f"Grant {number} " + "w" * 90)
    member.grant(1, '<script>alert("%s")</script>\u202eevil')
    html = member.get("/credits").text
    assert html.count("<tr data-grant=") == 100
    assert "In further grants" in html
    assert "<script>alert" not in html
    assert "\u202e" not in html


def test_huge_balances_fit(member: Member) -> None:
    member.grant(10**15)
    html = member.get("/credits").text
    assert "1,000,000,000,000,000" in html
    assert 'class="huge"' in html


def test_page_reads_a_bounded_number_of_statements(member: Member, statements: list[str]) -> None:
    for _ in range(3):
        member.grant(10)
        member.spend(1, feature="image")
    member.get("/credits")
    statements.clear()
    member.get("/credits")
    assert len(statements) <= 16, statements


def test_strangers_are_asked_to_log_in(member: Member) -> None:
    member.client.delete_cookie("tallystick")
    for path in ("/credits", "/credits/history", "/credits/entries/1", "/credits/playground", "/credits/history.csv"):
        response = member.get(path)
        assert response.status_code == 303, path
        assert "/log-in" in response.headers["Location"]


def test_out_of_credits_says_so(member: Member) -> None:
    member.grant(5)
    member.spend(5)
    assert "You are out of credits" in member.get("/credits").text


def test_arabic_page_runs_from_right_to_left(new_member: Callable[..., Member]) -> None:
    member = new_member(locale="ar")
    member.grant(1234)
    html = member.get("/credits").text
    assert '<html lang="ar" dir="rtl"' in html
    assert "رصيد" in html


def test_the_first_day_is_not_taken_for_every_day(member: Member) -> None:
    member.grant(600)
    member.spend(70)
    page = member.get("/credits").text
    assert "At 10 a day" in page  # seventy in a week, though all of it was today
    assert "running low" not in page


def test_what_is_reserved_is_listed_until_it_ends(member: Member) -> None:
    member.grant(100)
    held = member.write(
        lambda session, account_id: ledger.place_hold(
            session, account_id=account_id, amount=30, feature="image", idempotency_key="work", actor="key:1"
        )
    ).hold
    html = member.get("/credits").text
    assert "70 free to spend, 30 on hold" in html
    assert f'<tr data-hold="{held.number}">' in html
    assert 'data-available="70" data-held="30"' in html
    member.write(lambda session, account_id: ledger.advance_clock(session, by=timedelta(minutes=15)))
    html = member.get("/credits").text
    assert "data-hold=" not in html
    assert 'data-available="100" data-held="0"' in html


def test_the_balance_is_added_up_by_source_and_by_expiry(member: Member) -> None:
    now = clock.now()
    member.grant(400, "Gift", expires_at=now + timedelta(days=20))
    assert 'id="by-source"' not in member.get("/credits").text, "one line says it all"
    member.grant(2000, "Standard", source="purchase", cost_minor=2900, cost_currency="EUR")
    member.grant(600, "Pro", source="subscription", expires_at=now + timedelta(days=20))
    for days in range(30, 36):
        member.grant(10, "Bonus", expires_at=now + timedelta(days=days))
    page = member.get("/credits").text
    assert sums_of(page, "by-source") == ["Bought 2,000", "From plans 600", "Given to you 460"]
    by_expiry = sums_of(page, "by-expiry")
    assert [line.rpartition(" ")[2] for line in by_expiry] == ["1,000", "10", "10", "10", "30", "2,000"]
    assert by_expiry[-2:] == ["Later 30", "Never 2,000"]


def sums_of(page: str, name: str) -> list[str]:
    part = page.split(f'id="{name}"')[1].split("</dl>")[0].partition(">")[2]
    lines = re.findall(r"<div>(.*?)</div>", part)
    return [" ".join(re.sub(r"<[^>]*>", " ", line).split()) for line in lines]


def test_a_suspended_person_is_told_so_and_is_sold_nothing(member: Member) -> None:
    member.grant(100)
    assert 'id="suspended"' not in member.get("/credits").text
    with member.app.app_context(), unit_of_work() as session:
        suspend(session, account_id=member.account_id, reason="Chargebacks", actor="admin")
    html = member.get("/credits").text
    assert 'id="suspended"' in html
    assert "Chargebacks" not in html
    assert '<a class="btn" href="/pricing"' not in html
