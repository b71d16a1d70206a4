"""GET /credits/entries/<seq>: every kind of entry explains itself."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy.orm import Session

from tests.credits.member import Member
from webapp import clock, ledger
from webapp.catalog.pricing import DimensionRate, Pricing, Tier, Variant
from webapp.catalog.rate_book import RateBook, Rated, quote


def test_spend_shows_arithmetic_and_the_credits_that_paid(member: Member) -> None:
    member.grant(10, "First", expires_at=clock.now() + timedelta(days=9))
    member.grant(100, "Second")
    cost = member.write(lambda session, account_id: quote(session, feature="image", quantity=3))
    entry = member.spend(24, feature="image", quantity=3, pricing=cost.pricing, reference="job_7", metadata={"k": "v"})
    html = member.get(f"/credits/entries/{entry.seq}").text
    assert "Why was I charged 24 credits?" in html
    assert "× 8" in html
    assert html.index("First") < html.index("Second")
    assert "110 before, 86 after" in html
    assert "job_7" in html
    assert entry.hash.hex()[:4] in html


@pytest.mark.parametrize(
    ("what", "question"),
    [
        ("grant", "Where do 50 credits come from?"),
        ("purchase", "Where do 50 credits come from?"),
        ("refund", "Why were 20 credits returned?"),
        ("revoke", "Why were 50 credits taken back?"),
        ("restore", "Why did 50 credits come back?"),
        ("expire", "Why did 50 credits expire?"),
    ],
)
def test_every_kind_has_words_of_its_own(member: Member, what: str, question: str) -> None:
    source = {"source": "purchase", "cost_minor": 900, "cost_currency": "EUR"} if what == "purchase" else {}
    expires = {"expires_at": clock.now() + timedelta(seconds=1)} if what == "expire" else {}
    grant = member.grant(50, "Starter", **source, **expires)
    seq = grant.seq
    if what == "refund":
        spent = member.spend(20, feature="image")
        seq = member.write(ledger.refund_spend, seq=spent.seq, actor="api", reason="Failed").entry.seq
    if what in ("revoke", "restore"):
        seq = member.write(ledger.revoke, grant_id=grant.seq, target=50, actor="stripe", reason="refunded").seq
    if what == "restore":
        seq = member.write(ledger.revoke, grant_id=grant.seq, target=0, actor="stripe", reason="won").seq
    if what == "expire":
        member.write(lambda session, account_id: ledger.advance_clock(session, by=timedelta(seconds=5)))
        member.write(ledger.expire_account)
        seq = 2
    response = member.get(f"/credits/entries/{seq}")
    assert response.status_code == 200
    assert question in response.text


def test_revoke_beyond_what_is_left_shows_the_debt(member: Member) -> None:
    grant = member.grant(50, "Starter")
    member.spend(30)
    entry = member.write(ledger.revoke, grant_id=grant.seq, target=50, actor="stripe", reason="refunded")
    html = member.get(f"/credits/entries/{entry.seq}").text
    assert "Owed" in html
    assert "−30" not in html.split("Which credits it touched")[1].split("</table>")[0]
    assert "owed: the next credits" in member.get("/credits").text


def test_credits_that_came_and_went_at_once_are_no_slice(member: Member) -> None:
    grant = member.grant(50, "Starter")
    spend = member.spend(30)
    member.write(ledger.revoke, grant_id=grant.seq, target=50, actor="stripe", reason="refunded")
    refund = member.write(ledger.refund_spend, seq=spend.seq, actor="api", reason="failed").entry
    html = member.get(f"/credits/entries/{refund.seq}").text
    touched = html.split("Which credits it touched")[1].split("</table>")[0]
    assert "Owed" in touched
    assert "Starter" not in touched


def test_another_persons_entry_is_not_found(member: Member, new_member: Callable[..., Member]) -> None:
    other = new_member()
    for _ in range(3):
        other.grant(10)
    member.grant(10)
    assert member.get("/credits/entries/1").status_code == 200
    for seq in ("2", "3", "0", str(2**63), "9" * 40, "-1", "x"):
        assert member.get(f"/credits/entries/{seq}").status_code == 404, seq


@pytest.mark.parametrize(
    "pricing",
    [
        {},
        {"lines": "x"},
        {"lines": [{}, 1, None]},
        {"lines": [{"credits": "8"}], "rate_card_version": "1"},
        {"lines": [{"credits": 3}]},
    ],
)
def test_arithmetic_that_does_not_add_up_is_not_shown(member: Member, pricing: dict[str, object]) -> None:
    member.grant(10)
    entry = member.spend(8, feature="image", quantity=1, pricing=pricing)
    assert member.get(f"/credits/entries/{entry.seq}").status_code == 200


def test_strange_texts_are_only_text(member: Member) -> None:
    member.grant(10**15, "<script>1</script>" + "w" * 200)
    entry = member.spend(
        10**14,
        description="%s %(x)s {0}",
        reference="r" * 200,
        metadata={"<b>": {"deep": [1, 2]}, "x" * 100: "y" * 500},
    )
    html = member.get(f"/credits/entries/{entry.seq}").text
    assert "<script>1" not in html
    assert "&lt;b&gt;" in html


def test_spend_from_many_grants_is_drawn_and_listed(member: Member) -> None:
    for number in range(30):
        member.grant(10, f"Grant {number}")
    entry = member.spend(295)
    html = member.get(f"/credits/entries/{entry.seq}").text
    assert "Grant 29" in html


def test_a_captured_hold_says_what_had_been_reserved(member: Member) -> None:
    member.grant(100)

    def work(session: Session, account_id: int) -> ledger.Entry:
        hold = ledger.place_hold(session, account_id=account_id, amount=30, idempotency_key="work", actor="key:1").hold
        return ledger.capture_hold(
            session, account_id=account_id, number=hold.number, amount=12, idempotency_key="done", actor="key:1"
        ).entry

    entry = member.write(work)
    html = member.get(f"/credits/entries/{entry.seq}").text
    assert "Why was I charged 12 credits?" in html
    assert "Reserved" in html
    assert "30 since" in html


def test_a_rollover_says_what_it_carries_on(member: Member) -> None:
    grant = member.grant(50, "Pro", expires_at=clock.now() + timedelta(seconds=1))
    member.write(lambda session, account_id: ledger.advance_clock(session, by=timedelta(seconds=5)))
    rolled = member.write(
        lambda session, account_id: ledger.roll_over(
            session, account_id=account_id, grant_id=grant.seq, cap=20, source_key="rollover:1", actor="billing"
        )
    )
    html = member.get(f"/credits/entries/{rolled.entry.seq}").text
    assert "Where do 20 credits come from?" in html
    assert "What was left of “Pro” was carried over when it ended." in html
    assert f'href="/credits/entries/{grant.seq}"' in html
    assert "Carried over" in member.get("/credits/history").text


@pytest.mark.parametrize(
    ("pricing", "quantity", "said"),
    [
        (Pricing(model="flat", credits=5), 3, ["whatever the quantity"]),
        (Pricing(model="per_unit", credits=3, unit_size=1000), 1500, ["1,500", "× 3 / 1,000", "rounded up"]),
        (
            Pricing(model="per_unit", credits=3, unit_size=1000, rounding="half_up", minimum=9),
            1400,
            ["rounded to the nearest credit", "up to the minimum of 9 credits"],
        ),
        (
            Pricing(model="graduated", tiers=(Tier(up_to=10, credits=3), Tier(up_to=None, credits=2))),
            12,
            ["number 1 to 10", "× 3", "number 11 and further", "× 2"],
        ),
        (
            Pricing(model="volume", tiers=(Tier(up_to=10, credits=3), Tier(up_to=None, credits=2))),
            10,
            ["all at the price for 1 to 10"],
        ),
        (
            Pricing(model="volume", tiers=(Tier(up_to=10, credits=3), Tier(up_to=None, credits=2))),
            11,
            ["all at the price from 11 on", "× 2"],
        ),
        (Pricing(model="package", credits=5, unit_size=1000), 2001, ["3 packages of up to 1,000", "15"]),
    ],
)
def test_every_way_of_pricing_is_explained_line_by_line(
    member: Member, pricing: Pricing, quantity: int, said: list[str]
) -> None:
    member.grant(100)
    lines = {"lines": pricing.lines(quantity), "rate_card_version": 3}
    entry = member.spend(pricing.cost(quantity), feature="image", quantity=quantity, pricing=lines)
    html = member.get(f"/credits/entries/{entry.seq}").text
    for words in said:
        assert words in html


def test_a_charge_by_dimensions_names_each_and_the_choice(member: Member) -> None:
    rates = (
        DimensionRate(dimension="input_tokens", credits=3, unit_size=1000),
        DimensionRate(dimension="images", credits=8),
    )
    variant = Variant(when=(("model", "<large>"),), pricing=Pricing(model="dimensions", rates=rates, minimum=30))
    book = RateBook({"chat": Rated(3, Pricing(model="flat", credits=1, variants=(variant,)))})
    measured = {"model": "<large>", "input_tokens": 1500, "images": 2}
    cost = book.quote(feature="chat", dimensions=measured)
    member.grant(100)
    entry = member.spend(cost.credits, feature="chat", quantity=1, pricing=cost.pricing)
    html = member.get(f"/credits/entries/{entry.seq}").text
    for words in ("input_tokens, rounded up, model: &lt;large&gt;", "images, model: &lt;large&gt;", "minimum of 30"):
        assert words in html


@pytest.mark.parametrize("odd", ["x", -1, None, [], True, 2**70])
def test_strange_figures_in_a_line_are_left_out(member: Member, odd: object) -> None:
    member.grant(10)
    words = ("quantity", "credits_per_unit", "unit_size", "from", "up_to", "packages", "rounding", "dimension", "when")
    for model in ("graduated", "package", odd):
        line = {**dict.fromkeys(words, odd), "model": model, "credits": 1}
        entry = member.spend(1, feature="image", quantity=1, pricing={"lines": [line]})
        assert member.get(f"/credits/entries/{entry.seq}").status_code == 200


def test_carried_over_credits_that_expire_are_called_so_in_the_history(member: Member) -> None:
    grant = member.grant(50, "Pro", expires_at=clock.now() + timedelta(seconds=1))
    member.write(lambda session, account_id: ledger.advance_clock(session, by=timedelta(seconds=5)))
    rolled = member.write(
        lambda session, account_id: ledger.roll_over(
            session,
            account_id=account_id,
            grant_id=grant.seq,
            cap=20,
            source_key="rollover:1",
            actor="billing",
            expires_at=clock.now() + timedelta(seconds=60),
        )
    )
    assert rolled.entry.amount == 20
    member.write(lambda session, account_id: ledger.advance_clock(session, by=timedelta(seconds=65)))
    member.write(lambda session, account_id: ledger.expire_account(session, account_id=account_id))
    lines = [" ".join(line.split()) for line in member.get("/credits/history").text.split("<tr")]
    expired = [line for line in lines if "Expired" in line and "</tr>" in line]
    assert ["Pro, carried over" in line for line in expired] == [True, False]
