"""GET /credits/usage: ranges, groups, time zones, figures, states."""

import re
from collections.abc import Callable
from datetime import date, timedelta
from html import unescape

import pytest

from tests.credits.member import Member
from webapp import clock, ledger


def lines(html: str) -> list[tuple[str, str, int]]:
    """(first day, last day, credits) of the table of time."""
    found = re.findall(r'<tr data-from="([\d-]+)" data-to="([\d-]+)" data-used="(\d+)"', html)
    return [(first, last, int(used)) for first, last, used in found]


def used_on(html: str) -> dict[str, int]:
    return {first: used for first, _last, used in lines(html) if used}


def features(html: str) -> dict[str, int]:
    return {key: int(used) for key, used in re.findall(r'<tr data-feature="([^"]*)" data-used="(\d+)"', html)}


def total(html: str) -> int:
    found = re.search(r'data-used="(\d+)"><bdi>', html)
    return int(found[1]) if found else 0


def day(back: int) -> str:
    return (clock.now().date() - timedelta(days=back)).isoformat()


@pytest.fixture
def user(member: Member) -> Member:
    """Noon of the first spends is far from every midnight that the tests look at."""
    member.grant(10_000)
    noon = clock.now().replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(hours=12)
    member.spend(40, feature="image", occurred_at=noon)
    member.spend(8, feature="chat-message", occurred_at=noon - timedelta(days=1))
    member.spend(2, description="By hand", occurred_at=noon - timedelta(days=1))
    member.spend(500, feature="image", occurred_at=noon - timedelta(days=44))
    return member


def test_the_last_30_days_are_shown_by_day_and_feature(user: Member) -> None:
    html = user.get("/credits/usage").text
    assert used_on(html) == {day(1): 40, day(2): 10}
    assert features(html) == {"image": 40, "chat-message": 8, "": 2}
    assert total(html) == 50
    assert 'aria-current="true">30 days' in html


@pytest.mark.parametrize(
    ("query", "expected"),
    [("range=7d", 50), ("range=30d", 50), ("range=90d", 550), ("range=90d&feature=image", 540), ("feature=export", 0)],
)
def test_ranges_and_features_leave_what_they_name(user: Member, query: str, expected: int) -> None:
    assert total(user.get(f"/credits/usage?{query}").text) == expected


def test_dates_come_before_the_range_and_both_ends_are_included(user: Member) -> None:
    html = user.get(f"/credits/usage?range=90d&from={day(45)}&to={day(1)}").text
    assert total(html) == 550
    assert 'aria-current="true"' not in html.split("usage-filters")[0].split('id="range"')[1]
    assert total(user.get(f"/credits/usage?from={day(2)}&to={day(2)}").text) == 10
    assert total(user.get(f"/credits/usage?from={day(2)}").text) == 50, "until today"
    assert total(user.get(f"/credits/usage?to={day(30)}").text) == 500, "30 days back from there"


def test_this_month_and_last_month_are_calendar_months(member: Member) -> None:
    member.grant(100)
    first = clock.now().date().replace(day=1)
    before = (first - timedelta(days=1)).replace(day=1)
    assert lines(member.get("/credits/usage?range=this-month&group=month").text) == []
    member.spend(7, feature="image", occurred_at=clock.now().replace(day=1, hour=0, minute=0, second=0, microsecond=0))
    html = member.get("/credits/usage?range=this-month&group=month").text
    assert lines(html) == [(first.isoformat(), clock.now().date().isoformat(), 7)]
    member.spend(5, feature="image", occurred_at=clock.now().replace(day=1, hour=0) - timedelta(days=2))
    html = member.get("/credits/usage?range=last-month&group=month").text
    assert lines(html) == [(before.isoformat(), (first - timedelta(days=1)).isoformat(), 5)]


def test_weeks_begin_on_monday_and_are_cut_to_the_range(member: Member) -> None:
    member.grant(100)
    for when in ("2026-03-04", "2026-03-08", "2026-03-09", "2026-03-17"):
        member.spend(1, feature="image", occurred_at=clock.now().fromisoformat(f"{when}T12:00:00+00:00"))
    html = member.get("/credits/usage?from=2026-03-04&to=2026-03-17&group=week").text
    assert lines(html) == [
        ("2026-03-16", "2026-03-17", 1),
        ("2026-03-09", "2026-03-15", 1),
        ("2026-03-04", "2026-03-08", 2),
    ]
    html = member.get("/credits/usage?from=2026-02-15&to=2026-04-02&group=month").text
    assert [line[:2] for line in lines(html)] == [
        ("2026-04-01", "2026-04-02"),
        ("2026-03-01", "2026-03-31"),
        ("2026-02-15", "2026-02-28"),
    ]


def test_days_are_those_of_the_zone_in_the_url(new_member: Callable[..., Member]) -> None:
    member = new_member(time_zone="Europe/Berlin")
    member.grant(100)
    member.spend(3, feature="image", occurred_at=clock.now().fromisoformat("2026-06-30T22:30:00+00:00"))
    days = "from=2026-06-20&to=2026-07-10"
    assert used_on(member.get(f"/credits/usage?{days}").text) == {"2026-07-01": 3}
    assert used_on(member.get(f"/credits/usage?{days}&zone=UTC").text) == {"2026-06-30": 3}
    assert used_on(member.get(f"/credits/usage?{days}&zone=America/New_York").text) == {"2026-06-30": 3}
    assert used_on(member.get(f"/credits/usage?{days}&zone=Asia/Tokyo").text) == {"2026-07-01": 3}


@pytest.mark.parametrize(
    ("zone", "first", "hours"),
    [("Europe/Berlin", "2026-03-29", 23), ("Europe/Berlin", "2025-10-26", 25), ("Asia/Beirut", "2026-03-29", 23)],
)
def test_days_on_which_clocks_change_are_whole(
    new_member: Callable[..., Member], zone: str, first: str, hours: int
) -> None:
    """In Beirut the day begins at one o'clock, because midnight is skipped."""
    member = new_member(time_zone=zone)
    member.grant(1000)
    html = member.get(f"/credits/history?kind=spend&from={first}&to={first}")
    assert html.status_code == 200
    from zoneinfo import ZoneInfo

    from webapp.credits.usage_calendar import midnight

    there = ZoneInfo(zone)
    begins = midnight(date.fromisoformat(first), there)
    for hour in range(-1, hours + 1):
        member.spend(1, feature="image", occurred_at=begins + timedelta(hours=hour))
    assert used_on(member.get(f"/credits/usage?from={first}&to={first}").text) == {first: hours}


def test_refunds_are_taken_off_the_day_of_their_spend(user: Member) -> None:
    spends = [row for row in user.write(ledger.entries, limit=10).entries if row.feature == "image"]
    newest = max(spends, key=lambda entry: entry.occurred_at)
    user.write(ledger.refund_spend, seq=newest.seq, amount=15, actor="api:test", reason="It failed")
    html = user.get("/credits/usage").text
    assert used_on(html) == {day(1): 25, day(2): 10}
    assert total(html) == 35
    assert "15 more credits were spent and given back" in html


def test_the_time_before_is_compared(user: Member) -> None:
    html = user.get("/credits/usage").text
    assert 'data-before="500"' in html
    assert "90% less" in html
    assert 'data-before="0">–' in user.get("/credits/usage?range=7d").text


def test_pace_and_the_day_on_which_credits_are_spent_are_said(user: Member) -> None:
    assert "Lasts until about" in user.get("/credits/usage").text


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("range=forever", "range"),
        ("group=hour", "group"),
        ("zone=Mars/Olympus", "zone"),
        ("zone=../../etc/passwd", "zone"),
        ("zone=%00", "zone"),
        ("feature=%00", "feature"),
        ("from=yesterday", "from"),
        ("from=2026-13-45", "from"),
        ("from=0001-01-01", "from"),
        ("to=9999-12-31", "to"),
        ("from=2026-05-02&to=2026-05-01", "to"),
        ("from=2025-01-01&to=2026-01-02", "from"),
        ("from=1970-01-01", "from"),
    ],
)
def test_what_the_url_cannot_mean_is_named_and_never_breaks(user: Member, query: str, field: str) -> None:
    response = user.get(f"/credits/usage?{query}")
    assert response.status_code == 400
    assert f'href="#{field}"' in response.text
    assert f'id="{field}"' in response.text
    assert lines(response.text) == []
    assert user.get(f"/credits/usage.csv?{query}").status_code == 400
    part = user.fragment(f"/credits/usage?{query}", "usage")
    assert part.status_code == 422
    assert "data-focus" in part.text


def test_a_whole_leap_year_can_be_shown_and_goes_by_week(user: Member) -> None:
    response = user.get("/credits/usage?from=2028-01-01&to=2028-12-31")
    assert response.status_code == 200
    assert '<option value="week" selected>' in response.text


def test_too_much_to_add_up_is_an_error_and_not_a_long_wait(user: Member, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("webapp.ledger.usages.MOST_ENTRIES", 8)
    html = user.get("/credits/usage").text
    assert total(html) == 50, "the range alone is small enough"
    assert "data-before" not in html
    response = user.get("/credits/usage?range=90d")
    assert response.status_code == 400
    assert "Choose a shorter one" in response.text
    assert user.get("/credits/usage.json?range=90d").status_code == 400


def test_page_and_fragment_hold_the_same_figures(user: Member) -> None:
    page, part = user.get("/credits/usage?range=7d").text, user.fragment("/credits/usage?range=7d", "usage")
    assert lines(page) == lines(part.text)
    assert part.text.strip().startswith('<div id="usage">')
    assert "<html" not in part.text


def test_a_part_is_pushed_under_the_shortest_url_that_says_the_same(user: Member) -> None:
    part = user.fragment("/credits/usage?range=7d&from=&to=&group=week&feature=&zone=", "usage")
    assert part.headers["HX-Push-Url"] == "/credits/usage?range=7d&group=week"
    part = user.fragment("/credits/usage?from=&to=&zone=", "usage")
    assert part.headers["HX-Push-Url"] == "/credits/usage"


def test_each_line_and_bar_leads_to_its_spends_in_the_history(new_member: Callable[..., Member]) -> None:
    member = new_member(time_zone="Europe/Berlin")
    member.grant(100)
    member.spend(3, feature="image", occurred_at=clock.now().fromisoformat("2026-06-30T22:30:00+00:00"))
    member.spend(4, feature="export", occurred_at=clock.now().fromisoformat("2026-06-30T20:30:00+00:00"))
    for zone, expected in (("", ["-3"]), ("&zone=UTC", ["-3", "-4"])):
        html = member.get(f"/credits/usage?from=2026-06-20&to=2026-07-10{zone}").text
        table = html.split('id="by-time"')[1]
        link = re.search(r'href="(/credits/history\?[^"]+)"', table)
        assert link
        assert html.split("hits")[1].count(link[1]) >= 1, "the bar leads there too"
        rows = re.findall(r'data-kind="spend" data-amount="(-\d+)"', member.get(unescape(link[1])).text)
        assert sorted(rows) == sorted(expected)


def test_chart_and_table_show_the_same_days(user: Member) -> None:
    html = user.get("/credits/usage").text
    chart = html.split('class="hits')[1].split("</svg>")[0]
    assert [int(number) for number in re.findall(r": ([\d,]+)</title>", chart)] == [10, 40]
    assert 'role="img" aria-labelledby="usage-title usage-desc"' in html
    assert '<title id="usage-title">' in html
    assert '<desc id="usage-desc">' in html


def test_more_than_eight_features_are_shown_as_others(member: Member) -> None:
    member.grant(1000)
    for number in range(12):
        member.spend(20 - number, feature=f"feature-{number:02}")
    html = member.get("/credits/usage?range=7d").text
    assert len(features(html)) == 12
    head = html.split('id="by-time"')[1].split("</thead>")[0]
    assert head.count("<th ") == 1 + 8 + 1 + 1
    assert "Others" in head
    cells = re.findall(r'data-label="Others"><bdi>(\d+)', html)
    assert cells == [str(12 + 11 + 10 + 9)]


def test_time_without_spends_is_one_line(user: Member) -> None:
    html = user.get("/credits/usage").text
    assert html.count("nothing spent") == 2, "today, and all that is older"
    assert lines(html)[-1] == (day(29), day(3), 0)


def test_nothing_yet_shows_the_way_out(member: Member) -> None:
    html = member.get("/credits/usage").text
    assert "No notch has been cut yet" in html
    assert 'href="/pricing"' in html


def test_nothing_in_this_time_offers_a_longer_one(user: Member) -> None:
    html = user.get("/credits/usage?from=2025-01-01&to=2025-01-31").text
    assert "Nothing was spent in this time" in html
    assert 'href="/credits/usage?range=90d"' in html


def test_a_range_in_the_future_is_empty_and_not_compared(user: Member) -> None:
    response = user.get("/credits/usage?from=2030-01-01")
    assert response.status_code == 200
    assert "Nothing was spent in this time" in response.text


def test_all_that_was_given_back_is_no_use_and_no_chart(member: Member) -> None:
    member.grant(100)
    spent = member.spend(10, feature="image")
    member.write(ledger.refund_spend, seq=spent.seq, actor="api:test", reason="It failed")
    response = member.get("/credits/usage")
    assert response.status_code == 200
    assert "10 more credits were spent and given back" in response.text
    assert "usage-title" not in response.text


def test_names_written_by_strangers_are_only_text(member: Member) -> None:
    member.grant(100)
    member.spend(1, feature='<img src=x>"%s %(x)s\u202e' + "w" * 80)
    member.spend(1, feature="{{ 7 * 7 }}")
    html = member.get("/credits/usage").text
    assert "<img src=x>" not in html
    assert "{{ 7 * 7 }}" in html


def test_sixteen_digits_are_added_up_to_the_last(member: Member) -> None:
    for _ in range(3):
        member.grant(10**15)
        member.spend(10**15, feature="image")
    html = member.get("/credits/usage").text
    assert total(html) == 3 * 10**15
    assert 'class="huge"' in html


@pytest.mark.parametrize(("locale", "words"), [("de", "Nach Funktion"), ("ar", "حسب الميزة")])
def test_the_page_speaks_the_readers_language(new_member: Callable[..., Member], locale: str, words: str) -> None:
    member = new_member(locale=locale)
    member.grant(100)
    member.spend(5, feature="image")
    assert words in member.get("/credits/usage").text


def test_time_runs_from_right_to_left_in_arabic(new_member: Callable[..., Member]) -> None:
    def places(locale: str) -> list[float]:
        member = new_member(locale=locale)
        member.grant(100)
        member.spend(5, feature="image")
        chart = member.get("/credits/usage?range=7d").text.split('class="hits')[1].split("</svg>")[0]
        return [float(place) for place in re.findall(r'<rect x="([\d.]+)%', chart)]

    assert places("en")[0] > 80
    assert places("ar")[0] == 0


def test_the_page_is_in_the_navigation_and_private(user: Member) -> None:
    response = user.get("/credits/usage")
    assert 'href="/credits/usage" aria-current="page"' in response.text
    assert response.headers["Cache-Control"] == "no-store"
    user.client.delete_cookie("tallystick")
    for path in ("/credits/usage", "/credits/usage.csv", "/credits/usage.json"):
        assert "/log-in" in user.get(path).headers["Location"]


def test_ids_are_unique_and_controls_have_labels(user: Member) -> None:
    html = user.get("/credits/usage?range=90d").text
    ids = re.findall(r'\sid="([^"]+)"', html)
    assert len(ids) == len(set(ids))
    for control in re.findall(r'<(?:input|select)[^>]* id="([^"]+)"', html):
        assert f'for="{control}"' in html
    assert re.findall(r"<h([1-3])", html.split("<main")[1])[:2] == ["1", "2"]
    for labelled in re.findall(r'aria-labelledby="([^"]+)"', html):
        assert set(labelled.split()) <= set(ids)
    assert " style=" not in html


def test_page_reads_a_bounded_number_of_statements(user: Member, statements: list[str]) -> None:
    user.get("/credits/usage?range=90d")
    statements.clear()
    user.get("/credits/usage?range=90d")
    assert len(statements) <= 12, statements
