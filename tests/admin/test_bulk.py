"""Credits for many accounts by a CSV: checked line by line, confirmed once, booked once however often it is tried."""

import io
import re
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from jobs.bulk_apply import bulk_apply
from tests.credits.member import Member
from webapp import ledger
from webapp.admin import bulk_booking
from webapp.admin.audit import AuditLine
from webapp.admin.bulk_booking import apply_chunk
from webapp.admin.bulk_reading import BadFile, Defaults, read_file
from webapp.admin.bulk_tables import BulkRun
from webapp.database import unit_of_work
from webapp.extensions import db
from webapp.outbox import OutboxRow

PATH = "/admin/bulk"


@pytest.fixture
def finance(person: Callable[..., Member]) -> Member:
    return person("finance")


def csv_of(*rows: object, heading: str = "account,credits,days,text") -> bytes:
    return "\n".join([heading, *map(str, rows)]).encode()


def hand_in(one: Member, file: bytes, **fields: str) -> Any:
    data = {"kind": "grant", **fields, "file": (io.BytesIO(file), "outage.csv")}
    return one.post(PATH, data, content_type="multipart/form-data")


def run_of(answer: Any) -> int:
    assert answer.status_code == 303, answer.text
    return int(answer.headers["Location"].rsplit("/", 1)[1])


def confirm(one: Member, run: int, reason: str = "The outage of 20 November") -> Any:
    shown = one.post(f"{PATH}/{run}", {"reason": reason})
    assert shown.status_code == 200, shown.text
    found = re.search(r'name="submission" value="([^"]+)"', shown.text)
    assert found
    fields = {"reason": reason, "step": "confirm", "submission": found[1]}
    first = one.post(f"{PATH}/{run}", fields)
    again = one.post(f"{PATH}/{run}", fields)
    assert first.status_code == again.status_code == 303
    return shown


def work(app: Flask, run: int, *, times: int = 1) -> None:
    """A worker takes whatever rows of the run there are, each as often as said, until there are no new ones."""
    seen: set[int] = set()
    while True:
        with app.app_context(), unit_of_work() as session:
            rows = set(session.scalars(select(OutboxRow.id).where(OutboxRow.key.like(f"bulk:{run}:%")))) - seen
        if not rows:
            return
        for row_id in rows:
            for _time in range(times):
                with app.app_context():
                    bulk_apply(row_id)
        seen |= rows


def kept(app: Flask, run: int) -> BulkRun:
    with app.app_context(), unit_of_work() as session:
        one = session.get_one(BulkRun, run)
        session.expunge(one)
    return one


def test_a_file_is_checked_confirmed_and_booked_once(
    shop: Flask, finance: Member, new_member: Callable[..., Member], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk_booking, "CHUNK", 2)
    people = [new_member() for _each in range(5)]
    run = run_of(hand_in(finance, csv_of(*(f"{one.external_id},100,30,Sorry" for one in people))))
    assert [one.balance() for one in people] == [0] * 5
    shown = confirm(finance, run)
    assert 'data-figure="credits_granted"' in shown.text
    assert "500" in shown.text
    work(shop, run, times=2)
    assert [one.balance() for one in people] == [100] * 5
    done = kept(shop, run)
    assert (done.state, done.done_lines, done.refused_lines, done.moved) == ("done", 5, 0, 500)
    with shop.app_context(), unit_of_work() as session:
        (line,) = session.scalars(select(AuditLine).where(AuditLine.subject == f"bulk:{run}"))
        assert (line.act, line.credits, line.reason) == ("bulk.apply", 500, "The outage of 20 November")
        entry = ledger.entries(session, account_id=people[0].account_id, limit=1).entries[0]
        assert (entry.actor, entry.description) == (f"admin:{finance.external_id}", "Sorry")
        assert (entry.metadata["bulk"], entry.metadata["line"]) == (run, 2)
        (grant,) = ledger.open_grants(session, account_id=people[0].account_id)
        assert grant.expires_at is not None
    page = finance.get(f"{PATH}/{run}").text
    assert 'data-state="done"' in page
    assert "hx-trigger" not in finance.get(f"{PATH}/{run}/progress").text
    result = finance.download(f"{PATH}/{run}/lines.csv").text.splitlines()
    assert len(result) == 6
    assert people[0].external_id in result[1]
    assert ",done," in result[1]


def _apply_and_die(run: int) -> None:
    with unit_of_work() as session:
        apply_chunk(session, run_id=run, after=0)
        raise KeyboardInterrupt


def test_a_chunk_that_was_killed_is_done_by_the_next_attempt(
    shop: Flask, finance: Member, member: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_of(hand_in(finance, csv_of(f"{member.external_id},7,,")))
    confirm(finance, run)
    with shop.app_context(), pytest.raises(KeyboardInterrupt):
        _apply_and_die(run)
    assert member.balance() == 0
    work(shop, run)
    assert member.balance() == 7


def test_what_is_wrong_is_named_by_line_and_column(shop: Flask, finance: Member, member: Member) -> None:
    answer = hand_in(
        finance,
        csv_of(
            f"{member.external_id},10,,",
            f"{member.email},10,,",
            "nobody-is-called-this,10,,",
            f"{member.external_id},1e3,,",
            f"{member.external_id},10,-1,",
            ",10,,",
            f"{member.external_id},10",
            f"{member.account_id},10,,",
            "<b>bold</b>,10,,",
        ),
    )
    run = run_of(answer)
    page = finance.get(f"{PATH}/{run}").text
    said = dict(re.findall(r'<tr data-line="(\d+)">.*?data-label="Why">(.*?)</td>', page, re.S))
    assert "line 2 is about the same account already" in said["3"]
    assert "there is no such account" in said["4"]
    assert "1e3" in said["5"]
    assert "-1" in said["6"]
    assert "the cell is empty" in said["7"]
    assert "2 cells stand in this line, for 4 columns" in said["8"]
    assert "there is no such account" in said["9"], "a number of ours needs its #, the product may have the same"
    assert "&lt;b&gt;bold" in page
    assert (kept(shop, run).good, kept(shop, run).left_out) == (1, 8)
    confirm(finance, run)
    work(shop, run)
    assert member.balance() == 10


def test_accounts_are_named_by_name_email_or_our_number(shop: Flask, new_member: Callable[..., Member]) -> None:
    finance = new_member()
    with shop.app_context(), unit_of_work() as session:
        from webapp.people.user import User

        session.query(User).filter_by(email=finance.email).one().role = "finance"
    one, two, three, four = (new_member() for _each in range(4))
    file = b"\xef\xbb\xbf" + csv_of(
        f"{one.external_id};;5;x",
        f"{two.email.upper()};;6;x",
        f"#{three.account_id};;7;x",
        f";{four.account_id};8;x",
        heading="Customer ID;Account-ID;CREDITS;favourite colour",
    ).replace(b"\n", b"\r\n")
    run = run_of(hand_in(finance, file, text="For you"))
    assert "favourite colour" in finance.get(f"{PATH}/{run}").text
    assert two.email not in "".join(re.findall(r"given.*", str(kept(shop, run).ignored)))
    confirm(finance, run)
    work(shop, run)
    assert [each.balance() for each in (one, two, three, four)] == [5, 6, 7, 8]


def test_credits_are_taken_and_what_is_short_is_left_out_or_taken_in_part(
    shop: Flask, finance: Member, new_member: Callable[..., Member]
) -> None:
    rich, poor, empty = (new_member() for _each in range(3))
    rich.grant(100)
    poor.grant(30)
    file = csv_of(rich.external_id, poor.external_id, empty.external_id, heading="account")
    whole = run_of(hand_in(finance, file, kind="take", credits="50"))
    assert "only 30 are there" in finance.get(f"{PATH}/{whole}").text
    assert kept(shop, whole).good == 1
    partly = run_of(hand_in(finance, file, kind="take", credits="50", partial="1"))
    assert kept(shop, partly).good == 2
    confirm(finance, partly)
    work(shop, partly)
    assert [one.balance() for one in (rich, poor, empty)] == [50, 0, 0]
    assert kept(shop, partly).moved == 80


def test_what_the_ledger_refuses_by_then_harms_no_other_line(
    shop: Flask, finance: Member, new_member: Callable[..., Member]
) -> None:
    one, two = new_member(), new_member()
    one.grant(10)
    two.grant(10)
    file = csv_of(one.external_id, two.external_id, heading="account")
    run = run_of(hand_in(finance, file, kind="take", credits="10"))
    confirm(finance, run)
    one.spend(4)
    work(shop, run)
    assert (one.balance(), two.balance()) == (6, 0)
    done = kept(shop, run)
    assert (done.done_lines, done.refused_lines, done.moved) == (1, 1, 10)
    assert "only 6 are there" in finance.get(f"{PATH}/{run}/lines?state=refused").text


def test_an_account_may_stand_in_several_lines_when_that_is_said(shop: Flask, finance: Member, member: Member) -> None:
    file = csv_of(f"{member.external_id},5,,", f"{member.external_id},5,,")
    run = run_of(hand_in(finance, file, twins="1"))
    confirm(finance, run)
    work(shop, run)
    assert member.balance() == 10


def test_above_an_amount_a_second_person_agrees_first(
    make_app: Callable[..., Flask], servers: Any, finance: Member, member: Member
) -> None:
    from tests.admin.test_acts import doer
    from webapp.admin import acts
    from webapp.admin.bulk import APPLY

    run = run_of(hand_in(finance, csv_of(f"{member.external_id},500,,")))
    limits = acts.Limits(approval_credits=100, approval_minor=0, support_grant_limit=0)
    import uuid

    with finance.app.test_request_context():
        asked = acts.perform(
            APPLY,
            by=doer(finance.app, finance, "finance"),
            limits=limits,
            reason="x",
            arguments={"run_id": run},
            submission=uuid.uuid4(),
        )
    assert asked.approval_id is not None
    work(finance.app, run)
    assert member.balance() == 0
    assert "waits for a second person" in finance.get(f"{PATH}/{run}").text


def test_a_file_that_looks_like_one_that_was_confirmed_is_pointed_out(
    shop: Flask, finance: Member, member: Member
) -> None:
    file = csv_of(f"{member.external_id},{918_273},,")
    first = run_of(hand_in(finance, file))
    assert 'id="like-it"' not in finance.get(f"{PATH}/{first}").text
    confirm(finance, first)
    second = run_of(hand_in(finance, file))
    page = finance.get(f"{PATH}/{second}").text
    assert 'id="like-it"' in page
    assert f'href="{PATH}/{first}"' in page


def test_it_can_be_stopped_and_an_unconfirmed_file_thrown_away(shop: Flask, finance: Member, member: Member) -> None:
    run = run_of(hand_in(finance, csv_of(f"{member.external_id},5,,")))
    confirm(finance, run)
    assert finance.post(f"{PATH}/{run}/stop", form=PATH).status_code == 303
    work(shop, run)
    assert member.balance() == 0
    assert kept(shop, run).state == "stopped"
    assert finance.post(f"{PATH}/{run}/drop", form=PATH).status_code == 303
    assert kept(shop, run).state == "stopped"
    other = run_of(hand_in(finance, csv_of(f"{member.external_id},5,,")))
    finance.post(f"{PATH}/{other}/drop", form=PATH)
    assert finance.get(f"{PATH}/{other}").status_code == 404


@pytest.mark.parametrize(
    ("file", "message"),
    [
        (b"", "empty"),
        (b"account,credits\n", "nothing below"),
        (b"credits,text\n1,x", "No column names the accounts"),
        (b"account,text\nx,y", "No column says how many credits"),
        (b"account,user,credits\nx,y,1", "Two columns mean the same"),
        ("account,credits\nx,1".encode("utf-16"), "not UTF-8"),
        (b'account,credits\n"x,1', "no CSV from line 2"),
        (b"\x00\x01\x02", "not UTF-8"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_with_the_reason(finance: Member, file: bytes, message: str) -> None:
    answer = hand_in(finance, file)
    assert answer.status_code == 422
    assert message in answer.text


def test_no_line_is_read_beyond_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("webapp.admin.bulk_reading.MOST_LINES", 3)
    file = read_file(io.BytesIO(csv_of(*["a,1,,"] * 4)), defaults=Defaults())
    with pytest.raises(BadFile, match="too_many"):
        list(file.lines)


def test_ten_thousand_lines_are_checked_with_few_statements(
    shop: Flask, finance: Member, member: Member, statements: list[str]
) -> None:
    rows = [f"{member.external_id},1,,", *(f"nobody-{number},1,," for number in range(9_999))]
    before = len(statements)
    run = run_of(hand_in(finance, csv_of(*rows)))
    assert len(statements) - before < 40
    assert (kept(shop, run).good, kept(shop, run).lines) == (1, 10_000)


@pytest.mark.parametrize("role", [None, "support", "translator"])
def test_who_lacks_the_role_finds_nothing(person: Callable[..., Member], role: str | None) -> None:
    one = person(role)
    for path in ("", ".csv", "/1", "/1/lines", "/1/lines.csv", "/1/progress"):
        assert one.get(PATH + path).status_code == 404, path
    assert one.post_raw(PATH).status_code in (400, 404)


def test_a_customers_email_is_not_kept_with_the_line(shop: Flask, finance: Member, member: Member) -> None:
    run = run_of(hand_in(finance, csv_of(f"{member.email},5,,")))
    with shop.app_context(), unit_of_work() as session:
        given = session.execute(db.text("SELECT given FROM bulk_lines WHERE run_id = :run"), {"run": run}).scalar_one()
    assert given == member.external_id
