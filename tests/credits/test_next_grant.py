"""The page of credits says when the next ones come."""

from datetime import timedelta

from tests.credits.member import Member
from webapp import ledger
from webapp.billing.entitlement import Entitlement
from webapp.billing.free_plan import start_free
from webapp.catalog.plan import Plan
from webapp.database import unit_of_work
from webapp.people.user import User


def test_the_next_grant_is_named_with_its_day_and_amount(member: Member) -> None:
    assert 'id="next-grant"' not in member.get("/credits").text
    with member.app.app_context(), unit_of_work() as session:
        user = session.query(User).filter_by(account_id=member.account_id).one()
        plan = session.get_one(Plan, "free")
        entitlement: Entitlement = start_free(session, plan=plan, user=user, mode="sandbox")
        assert entitlement.next_at is not None
        assert entitlement.next_at - ledger.now(session) > timedelta(days=27)
        credits = entitlement.credits_per_month
    html = member.get("/credits").text
    start = html.index('id="next-grant"')
    assert f"{credits} credits on" in html[start : start + 300]
    assert "in 4 weeks" in html[start : start + 400] or "in 1 month" in html[start : start + 400]
