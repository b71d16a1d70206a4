"""Acts on one account: what each does, once, what is refused, and who may."""

import re
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from tests.admin.test_acts import doer
from tests.credits.member import Member
from webapp import ledger
from webapp.admin import acts
from webapp.admin.account_deduct import DEDUCT
from webapp.admin.account_hold import VOID
from webapp.admin.account_overdraft import SET_OVERDRAFT
from webapp.admin.account_refund import REFUND_SPEND
from webapp.admin.account_take_back import TAKE_BACK
from webapp.admin.acts import Limits
from webapp.admin.audit import AuditLine
from webapp.database import unit_of_work
from webapp.people.suspension import find_suspension


@pytest.fixture
def finance(person: Callable[..., Member]) -> Member:
    return person("finance")


@pytest.fixture
def support(person: Callable[..., Member]) -> Member:
    return person("support")


def sent(by: Member, path: str, fields: dict[str, str]) -> Any:
    """The form is sent, what it would do is confirmed, and once more by an impatient finger: the last answer."""
    shown = by.post(path, fields)
    if "Nothing has happened yet" not in shown.text:
        return shown
    submission = re.search(r'name="submission" value="([^"]+)"', shown.text)
    assert submission
    hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', shown.text))
    assert {**fields, **hidden}["reason"] == fields["reason"]
    by.post_raw(path, hidden)
    return by.post_raw(path, hidden)


def done(by: Member, path: str, fields: dict[str, str]) -> None:
    answer = sent(by, path, fields)
    assert answer.status_code == 303, answer.text


def lines(app: Flask, member: Member, act: str) -> list[AuditLine]:
    with app.app_context(), unit_of_work() as session:
        about = (AuditLine.account_id == member.account_id, AuditLine.act == act)
        found = list(session.scalars(select(AuditLine).where(*about)))
        session.expunge_all()
    return found


def balance(app: Flask, member: Member) -> ledger.Balance:
    with app.app_context(), unit_of_work() as session:
        return ledger.balance(session, account_id=member.account_id)


def newest(app: Flask, member: Member) -> ledger.Entry:
    with app.app_context(), unit_of_work() as session:
        return ledger.entries(session, account_id=member.account_id, limit=1).entries[0]


def home(member: Member) -> str:
    return f"/admin/accounts/{member.account_id}"


def test_credits_are_deducted_once_as_a_spend_the_customer_can_read(
    shop: Flask, finance: Member, member: Member
) -> None:
    member.grant(100)
    done(finance, f"{home(member)}/deduct", {"credits": "30", "text": "Granted twice", "reason": "Ticket 12"})
    entry = newest(shop, member)
    assert (entry.kind, entry.amount, entry.description, entry.balance_after) == ("spend", -30, "Granted twice", 70)
    assert entry.actor == f"admin:{finance.external_id}"
    (line,) = lines(shop, member, "account.deduct")
    assert (line.reason, line.credits, line.before["available"], line.after["available"]) == ("Ticket 12", 30, 100, 70)
    seen = member.get(f"/credits/entries/{entry.seq}").text
    assert "Granted twice" in seen
    assert "Ticket 12" not in seen


def test_a_reason_for_a_grant_stays_with_the_operator(shop: Flask, finance: Member, member: Member) -> None:
    fields = {"credits": "30", "days": "", "text": "Sorry", "reason": "Ticket 12"}
    done(finance, f"{home(member)}/grant", fields)
    assert newest(shop, member).metadata == {}
    assert "Ticket 12" not in member.get("/credits/entries/1").text
    assert "Ticket 12" in finance.get(f"{home(member)}/entries/1").text


def test_no_more_is_deducted_than_there_is(shop: Flask, finance: Member, member: Member) -> None:
    member.grant(10)
    path = f"{home(member)}/deduct"
    answer = sent(finance, path, {"credits": "11", "text": "x", "reason": "x"})
    assert answer.status_code == 422
    assert "Only 10 credits are there" in answer.text
    assert 'href="#credits"' in answer.text
    assert balance(shop, member).balance == 10
    assert lines(shop, member, "account.deduct") == []


def test_a_deduction_becomes_debt_only_where_that_is_meant(shop: Flask, finance: Member, member: Member) -> None:
    member.grant(10)
    fields = {"limit": "100", "reason": "They pay by invoice"}
    done(finance, f"{home(member)}/overdraft", fields)
    path = f"{home(member)}/deduct"
    refused = sent(finance, path, {"credits": "15", "text": "x", "reason": "x"})
    assert "Only 10 credits are there" in refused.text
    assert balance(shop, member).balance == 10
    done(finance, path, {"credits": "15", "text": "x", "reason": "x", "into_debt": "y"})
    assert (balance(shop, member).balance, balance(shop, member).debt) == (-5, 5)


def test_an_overdraft_limit_is_set_and_on_record(shop: Flask, finance: Member, member: Member) -> None:
    path = f"{home(member)}/overdraft"
    done(finance, path, {"limit": "500", "reason": "They pay by invoice"})
    with shop.app_context(), unit_of_work() as session:
        assert ledger.get_account(session, account_id=member.account_id).overdraft_limit == 500
    (line,) = lines(shop, member, "account.overdraft")
    assert (line.before["overdraft_limit"], line.after["overdraft_limit"], line.credits) == (0, 500, 500)
    assert 'value="500"' in finance.get(path).text
    assert "It is this already" in sent(finance, path, {"limit": "500", "reason": "x"}).text
    assert finance.post(path, {"limit": "-1", "reason": "x"}).status_code == 422


def test_a_suspended_account_spends_nothing_until_it_is_lifted(shop: Flask, finance: Member, member: Member) -> None:
    def reason() -> str | None:
        with shop.app_context(), unit_of_work() as session:
            found = find_suspension(session, account_id=member.account_id)
            return found.reason if found else None

    done(finance, f"{home(member)}/suspend", {"reason": "Chargebacks"})
    assert reason() == "Chargebacks"
    page = finance.get(home(member)).text
    assert "Chargebacks" in page
    assert f'href="{home(member)}/resume"' in page
    assert "suspended already" in sent(finance, f"{home(member)}/suspend", {"reason": "Again"}).text
    done(finance, f"{home(member)}/resume", {"reason": "They have paid"})
    assert reason() is None
    assert "It is not suspended" in sent(finance, f"{home(member)}/resume", {"reason": "x"}).text
    assert len(lines(shop, member, "account.suspend") + lines(shop, member, "account.resume")) == 2


def test_a_frozen_grant_pays_for_nothing_until_it_is_unfrozen(shop: Flask, finance: Member, member: Member) -> None:
    kept, frozen = member.grant(10), member.grant(90, "Suspicious gift")
    path = f"{home(member)}/grants/{frozen.seq}"
    done(finance, f"{path}/freeze", {"reason": "Looks stolen"})
    assert (balance(shop, member).balance, balance(shop, member).available) == (100, 10)
    (line,) = lines(shop, member, "grant.freeze")
    assert (line.before["frozen"], line.after["frozen"], line.after["grant"]) == (False, True, str(frozen.seq))
    page = finance.get(home(member)).text
    assert "frozen by an admin" in page
    assert f'href="{path}/unfreeze"' in page
    assert "has frozen it already" in sent(finance, f"{path}/freeze", {"reason": "x"}).text
    done(finance, f"{path}/unfreeze", {"reason": "It was not"})
    assert balance(shop, member).available == 100
    nothing = sent(finance, f"{home(member)}/grants/{kept.seq}/unfreeze", {"reason": "x"})
    assert "No admin has frozen it" in nothing.text


def test_an_admin_does_not_lift_the_freeze_of_a_dispute(shop: Flask, finance: Member, member: Member) -> None:
    grant = member.grant(90)
    frozen = {"grant_id": grant.seq, "reference": "dp_1", "actor": "stripe", "reason": "dispute"}
    member.write(ledger.freeze, **frozen)
    path = f"{home(member)}/grants/{grant.seq}/unfreeze"
    assert "until the bank has decided" in sent(finance, path, {"reason": "x"}).text
    assert balance(shop, member).available == 0
    assert "its payment is disputed" in finance.get(home(member)).text


def test_a_grant_is_taken_back_to_a_total_and_given_back(shop: Flask, finance: Member, member: Member) -> None:
    grant = member.grant(100)
    member.spend(70)
    path = f"{home(member)}/grants/{grant.seq}/take-back"
    done(finance, path, {"target": "100", "text": "Meant for somebody else", "reason": "Ticket 9"})
    assert (balance(shop, member).balance, balance(shop, member).debt) == (-70, 70)
    entry = newest(shop, member)
    assert (entry.kind, entry.amount) == ("revoke", -100)
    read = member.get(f"/credits/entries/{entry.seq}").text
    assert "Meant for somebody else" in read
    assert "refunded or disputed" not in read
    done(finance, path, {"target": "0", "text": "", "reason": "It was right"})
    assert (balance(shop, member).balance, balance(shop, member).debt) == (30, 0)
    taken, given = lines(shop, member, "grant.take_back")
    assert (taken.before["revoked"], taken.after["revoked"], given.after["revoked"]) == (0, 100, 0)
    assert "Nothing would change" in sent(finance, path, {"target": "0", "text": "", "reason": "x"}).text
    assert "no more than 100 credits" in sent(finance, path, {"target": "101", "text": "", "reason": "x"}).text


@pytest.mark.parametrize("terms", [{"source": "purchase"}, {"source": "subscription"}, {"source": "free-plan"}])
def test_what_money_decides_over_is_not_taken_back(
    shop: Flask, finance: Member, member: Member, terms: dict[str, Any]
) -> None:
    cost = {"cost_minor": 900, "cost_currency": "EUR"} if terms["source"] == "free-plan" else {}
    grant = member.grant(100, **terms, **cost)
    path = f"{home(member)}/grants/{grant.seq}/take-back"
    answer = sent(finance, path, {"target": "100", "text": "", "reason": "x"})
    assert "refund the payment, or deduct credits" in answer.text
    assert balance(shop, member).balance == 100
    assert f'href="{path}"' not in finance.get(home(member)).text


def test_a_hold_is_voided_once(shop: Flask, support: Member, member: Member) -> None:
    member.grant(100)
    member.write(ledger.place_hold, amount=40, idempotency_key=str(uuid.uuid4()), actor="api:test")
    path = f"{home(member)}/holds/1/void"
    assert f'href="{path}"' in support.get(home(member)).text
    done(support, path, {"reason": "The work died"})
    assert (balance(shop, member).held, balance(shop, member).available) == (0, 100)
    (line,) = lines(shop, member, "hold.void")
    assert (line.after["hold"], line.credits) == ("1", 40)
    assert "The hold has ended" in sent(support, path, {"reason": "x"}).text


def test_a_spend_is_refunded_in_part_and_then_the_rest(shop: Flask, support: Member, member: Member) -> None:
    member.grant(100)
    spend = member.spend(60, feature="image", quantity=1)
    path = f"{home(member)}/entries/{spend.seq}/refund"
    done(support, path, {"credits": "20", "text": "It failed", "reason": "Ticket 3"})
    assert balance(shop, member).balance == 60
    entry = newest(shop, member)
    assert (entry.kind, entry.amount, entry.about_seq, entry.description) == ("refund", 20, spend.seq, "It failed")
    assert "40 credits are left to give back" in sent(support, path, {"credits": "41", "reason": "x"}).text
    done(support, path, {"credits": "", "text": "", "reason": "All of it"})
    assert balance(shop, member).balance == 100
    assert [line.credits for line in lines(shop, member, "spend.refund")] == [20, 40]
    assert f'href="{path}"' not in support.get(f"{home(member)}/entries/{spend.seq}").text


def test_support_gives_back_no_more_than_it_may(shop: Flask, support: Member, member: Member) -> None:
    limit = shop.config["SETTINGS"].support_grant_limit
    member.grant(limit * 2)
    spend = member.spend(limit + 1)
    path = f"{home(member)}/entries/{spend.seq}/refund"
    assert "credits today" in sent(support, path, {"credits": "", "text": "", "reason": "x"}).text
    assert balance(shop, member).balance == limit - 1


def test_what_is_asked_of_a_second_person_happens_when_they_agree(
    shop: Flask, person: Callable[..., Member], member: Member
) -> None:
    """Arguments of each act that moves credits are kept, and its effect is that of a single person's."""
    asker, other = (doer(shop, person("finance"), "finance") for _number in range(2))
    limits = Limits(approval_credits=1, approval_minor=0, support_grant_limit=0)
    gift = member.grant(100)
    spend = member.spend(10)
    member.write(ledger.place_hold, amount=20, idempotency_key="h", actor="api:test")
    wanted: list[tuple[acts.Act, dict[str, Any], int]] = [
        (DEDUCT, {"credits": 5, "into_debt": False, "text": "x"}, 65),
        (SET_OVERDRAFT, {"limit": 50}, 65),
        (REFUND_SPEND, {"seq": spend.seq, "credits": None, "text": ""}, 75),
        (VOID, {"number": 1}, 95),
        (TAKE_BACK, {"grant_id": gift.seq, "target": 40, "text": ""}, 55),
    ]
    before = 70
    for act, arguments, after in wanted:
        with shop.test_request_context():
            asked = acts.perform(
                act,
                by=asker,
                limits=limits,
                reason="x",
                arguments={"account_id": member.account_id, **arguments},
                submission=uuid.uuid4(),
            )
            assert asked.approval_id is not None, act.key
            assert balance(shop, member).available == before, act.key
            acts.approve(asked.approval_id, by=other, limits=limits)
        assert balance(shop, member).available == after, act.key
        before = after


def test_only_spends_are_refunded(finance: Member, member: Member) -> None:
    grant = member.grant(100)
    assert finance.get(f"{home(member)}/entries/{grant.seq}/refund").status_code == 404


MONEY_ONLY = ("deduct", "overdraft", "suspend", "resume", "grants/1/freeze", "grants/1/unfreeze", "grants/1/take-back")


def test_support_does_small_things_only(support: Member, member: Member) -> None:
    member.grant(100)
    page = support.get(home(member)).text
    for path in MONEY_ONLY:
        assert support.get(f"{home(member)}/{path}").status_code == 404, path
        assert f'href="{home(member)}/{path}"' not in page, path
    assert f'href="{home(member)}/grant"' in page


@pytest.mark.parametrize("role", [None, "translator"])
def test_who_lacks_the_role_finds_nothing(person: Callable[..., Member], member: Member, role: str | None) -> None:
    member.grant(100)
    one = person(role)
    for path in ("", "/entries/1", "/holds/1/void", "/entries/1/refund", *(f"/{path}" for path in MONEY_ONLY)):
        assert one.get(f"{home(member)}{path}").status_code == 404, path


def test_ids_of_another_account_are_no_page_here(
    shop: Flask, finance: Member, member: Member, new_member: Callable[..., Member]
) -> None:
    """Grants, holds and entries are numbered within their account: what only the other one has is not found here."""
    other = new_member()
    member.grant(5)
    for number in range(3):
        other.grant(10 + number)
    other.spend(4)
    other.write(ledger.place_hold, amount=2, idempotency_key="h", actor="api:test")
    for path in ("grants/3/freeze", "grants/3/take-back", "holds/1/void", "entries/4/refund", "entries/4"):
        assert finance.get(f"/admin/accounts/{member.account_id}/{path}").status_code == 404, path
        assert finance.get(f"/admin/accounts/{other.account_id}/{path}").status_code == 200, path
    token = finance.token(f"{home(member)}/deduct")
    for path in ("grants/3/freeze", "grants/3/take-back", "holds/1/void", "entries/4/refund"):
        fields = {"reason": "x", "target": "1", "step": "confirm", "submission": str(uuid.uuid4()), "csrf_token": token}
        answer = finance.post_raw(f"{home(member)}/{path}", {**fields, "account_id": str(other.account_id)})
        assert answer.status_code == 404, path
    assert balance(shop, other).available == 10 + 11 + 12 - 4 - 2
    with shop.app_context(), unit_of_work() as session:
        about = AuditLine.account_id.in_([member.account_id, other.account_id])
        assert session.scalar(select(func.count()).where(about)) == 0


@pytest.mark.parametrize("number", ["0", "-1", "01", str(2**63 - 1), str(2**63), "9" * 5000, "x", "1.5"])
def test_numbers_that_nothing_has_are_no_page(finance: Member, member: Member, number: str) -> None:
    member.grant(5)
    for path in (number, f"{number}/grant", f"{number}/deduct"):
        assert finance.get(f"/admin/accounts/{path}").status_code == 404
    for path in ("entries/{}", "entries/{}/refund", "grants/{}/freeze", "grants/{}/take-back", "holds/{}/void"):
        assert finance.get(f"{home(member)}/{path.format(number)}").status_code == 404


@pytest.mark.parametrize(
    ("path", "fields", "named"),
    [
        ("deduct", {"credits": "0", "text": "x", "reason": "x"}, "credits"),
        ("deduct", {"credits": "9" * 30, "text": "x", "reason": "x"}, "credits"),
        ("deduct", {"credits": "9" * 5000, "text": "x", "reason": "x"}, "credits"),
        ("deduct", {"credits": "5", "text": " ", "reason": "x"}, "text"),
        ("deduct", {"credits": "5", "text": "x", "reason": ""}, "reason"),
        ("deduct", {"credits": "5", "text": "x" * 201, "reason": "x"}, "text"),
        ("overdraft", {"limit": "1e3", "reason": "x"}, "limit"),
        ("suspend", {"reason": "x" * 501}, "reason"),
        ("grants/1/take-back", {"target": "", "text": "", "reason": "x"}, "target"),
        ("grants/1/freeze", {"reason": "\0 "}, "reason"),
    ],
)
def test_bad_input_names_its_field(
    shop: Flask, finance: Member, member: Member, path: str, fields: dict[str, str], named: str
) -> None:
    member.grant(100)
    answer = finance.post(f"{home(member)}/{path}", fields)
    assert answer.status_code == 422
    assert f'href="#{named}"' in answer.text
    assert f'id="{named}"' in answer.text
    assert (balance(shop, member).available, newest(shop, member).seq) == (100, 1)
