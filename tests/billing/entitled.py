"""People on plans as tests of entitlements want them: applications with plans, and the free plan taken."""

from datetime import timedelta

from flask import Flask
from sqlalchemy.orm import Session

from tests.billing.plans import STUDIO, YEARLY_STUDIO, Member, offer
from webapp.billing.free_plan import start_free
from webapp.catalog.install import install_shipped_catalog
from webapp.catalog.plan import Plan
from webapp.database import unit_of_work

DAY = timedelta(days=1)


def offer_all(app: Flask) -> Flask:
    """The shipped plans and bigger ones can be had."""
    with app.app_context(), unit_of_work() as session:
        install_shipped_catalog(session)
        offer(session, STUDIO)
        offer(session, YEARLY_STUDIO)
    return app


def take_free(member: Member) -> None:
    def act(session: Session) -> None:
        start_free(session, plan=session.get_one(Plan, "free"), user=member.user(session), mode="sandbox")

    member.do(act)
