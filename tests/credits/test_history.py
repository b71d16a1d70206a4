"""GET /credits/history: filters, cursors, states."""

import re
from collections.abc import Callable
from datetime import timedelta
from html import unescape

import pytest

from tests.credits.member import Member
from webapp import clock, ledger
from webapp.credits import history


def rows(html: str) -> list[tuple[int, str, int, int]]:
    found = re.findall(
        r'<tr data-entry="(\d+)" data-kind="(\w+)" data-amount="(-?\d+)" data-balance-after="(-?\d+)"', html
    )
    return [(int(seq), kind, int(amount), int(after)) for seq, kind, amount, after in found]


def kinds(html: str) -> list[str]:
    return [kind for _seq, kind, _amount, _after in rows(html)]


@pytest.fixture
def busy(member: Member) -> Member:
    member.grant(100, "Gift")
    member.grant(500, "Starter", source="purchase", cost_minor=900, cost_currency="EUR")
    member.spend(8, feature="image", quantity=1)
    spent = member.spend(12, feature="export", quantity=1, occurred_at=clock.now() - timedelta(days=3))
    member.write(ledger.refund_spend, seq=spent.seq, actor="api:test", reason="It failed")
    return member


def test_rows_are_newest_first_and_carry_their_figures(busy: Member) -> None:
    assert rows(busy.get("/credits/history").text) == [
        (5, "refund", 12, 592),
        (4, "spend", -12, 580),
        (3, "spend", -8, 592),
        (2, "purchase", 500, 600),
        (1, "grant", 100, 100),
    ]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("kind=spend", ["spend", "spend"]),
        ("kind=grant", ["purchase", "grant"]),
        ("kind=purchase", ["purchase"]),
        ("kind=refund", ["refund"]),
        ("kind=expire", []),
        ("feature=image", ["spend"]),
        ("kind=grant&feature=image", []),
        ("kind=&feature=&from=&to=", ["refund", "spend", "spend", "purchase", "grant"]),
    ],
)
def test_filters_leave_what_they_name(busy: Member, query: str, expected: list[str]) -> None:
    assert kinds(busy.get(f"/credits/history?{query}").text) == expected


def test_dates_are_days_of_the_reader_and_the_end_is_included(busy: Member) -> None:
    today = clock.now().date().isoformat()
    earlier = (clock.now() - timedelta(days=3)).date().isoformat()
    assert "spend" in kinds(busy.get(f"/credits/history?from={earlier}&to={earlier}").text)
    assert [row[0] for row in rows(busy.get(f"/credits/history?from={earlier}&to={earlier}").text)] == [4]
    assert 4 not in [row[0] for row in rows(busy.get(f"/credits/history?from={today}").text)]
    assert len(rows(busy.get(f"/credits/history?to={today}").text)) == 5


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("kind=nonsense", "kind"),
        ("kind=%00", "kind"),
        ("feature=%00", "feature"),
        ("from=yesterday", "from"),
        ("from=2026-13-45", "from"),
        ("to=9999-12-31", "to"),
        ("to=0001-01-01", "to"),
        ("from=2026-05-02&to=2026-05-01", "to"),
        ("cursor=-1", "cursor"),
        ("cursor=99999999999999999999", "cursor"),
        ("cursor=٣", "cursor"),
    ],
)
def test_filters_that_mean_nothing_are_named_and_never_break(busy: Member, query: str, field: str) -> None:
    response = busy.get(f"/credits/history?{query}")
    assert response.status_code == 400
    assert f'href="#{field}"' in response.text
    assert rows(response.text) == []
    assert busy.get(f"/credits/history.csv?{query}").status_code == 400


def test_a_fragment_about_a_wrong_filter_is_one_that_htmx_shows(busy: Member) -> None:
    response = busy.fragment("/credits/history?from=yesterday", "history")
    assert response.status_code == 422
    assert "data-focus" in response.text


def test_unknown_feature_and_huge_cursor_are_just_empty_or_all(busy: Member) -> None:
    assert "Nothing matches" in busy.get("/credits/history?feature=nobody%27s<b>").text
    assert len(rows(busy.get(f"/credits/history?cursor={2**63 - 1}").text)) == 5


def test_pages_follow_the_cursor_without_gap_or_repetition(member: Member, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "PAGE", 3)
    member.grant(100)
    for _ in range(7):
        member.spend(1, feature="chat-message")
    seen, path = [], "/credits/history?kind=spend"
    while path:
        html = member.get(path).text
        seen += [row[0] for row in rows(html)]
        older = re.search(r'<a class="btn line" href="([^"]+)" rel="next"', html)
        path = unescape(older[1]) if older else ""
        assert not path or "kind=spend" in path
    assert seen == [8, 7, 6, 5, 4, 3, 2]


def test_page_and_fragment_hold_the_same_rows(busy: Member) -> None:
    page = busy.get("/credits/history?kind=spend").text
    part = busy.fragment("/credits/history?kind=spend", "history").text
    assert rows(page) == rows(part)
    assert part.strip().startswith('<div id="history">')
    assert "<html" not in part


def test_filters_that_are_on_can_be_taken_off(busy: Member) -> None:
    html = busy.get("/credits/history?kind=spend&feature=image").text
    assert 'href="/credits/history?feature=image"' in html
    assert 'href="/credits/history?kind=spend"' in html
    assert '<option value="spend" selected>' in html
    assert 'href="/credits/history.csv?kind=spend&amp;feature=image"' in html


def test_nothing_yet_shows_the_way_out(member: Member) -> None:
    assert "No notch has been cut yet" in member.get("/credits/history").text


def test_names_written_by_strangers_are_only_text(member: Member) -> None:
    member.grant(100, '<b>"%s" %(x)s &amp;</b>')
    member.spend(1, description="<img src=x>", reference="{{ 7 * 7 }}")
    html = member.get("/credits/history").text
    assert "<img src=x>" not in html
    assert "&lt;b&gt;&#34;%s&#34; %(x)s &amp;amp;&lt;/b&gt;" in html
    assert "{{ 7 * 7 }}" in html


def test_package_names_are_in_the_readers_language(new_member: Callable[..., Member]) -> None:
    member = new_member(locale="de")
    member.grant(500, "Enterprise", source="purchase", cost_minor=900, cost_currency="EUR")
    assert "Gekauft" in member.get("/credits/history").text


def test_history_reads_a_bounded_number_of_statements(busy: Member, statements: list[str]) -> None:
    busy.get("/credits/history")
    statements.clear()
    busy.get("/credits/history?kind=spend")
    assert len(statements) <= 8, statements


def test_a_line_leads_to_what_it_is_about(member: Member) -> None:
    bought = member.grant(2000, "Standard", source="purchase", reference="purchase:12")
    member.grant(10, "Pro", source="plan", metadata={"entitlement": 1, "cause": "month"})
    spent = member.spend(5, feature="image")
    member.write(
        ledger.refund_spend, seq=spent.seq, amount=5, idempotency_key="back", actor="api:test", reason="It failed"
    )
    member.grant(1, "Odd", reference="purchase:12")
    page = member.get("/credits/history").text
    links = {
        int(row[1]): re.findall(r'<th scope="row">(?:<a[^>]*href="([^"]*)")?', row[2])[0]
        for row in re.finditer(r'<tr data-entry="(\d+)"(.*?)</tr>', page, re.DOTALL)
    }
    assert links == {bought.seq: "/purchases/12", 2: "/plan", spent.seq: "", 4: f"/credits/entries/{spent.seq}", 5: ""}
