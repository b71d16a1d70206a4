"""Pages for those who run it: /admin. Who has no role there learns no more than from a page that isn't there."""

from flask import Flask

from webapp.admin import (
    account_grant,
    account_pages,
    approvals_page,
    audit_log,
    bulk,
    campaign_create,
    campaigns,
    disputes,
    events,
    impersonation,
    invoices,
    jobs,
    navigation,
    orders,
    overview,
    packages,
    people,
    plan_payment,
    plan_payment_refund,
    plans,
    proof,
    purchase,
    purchase_refund,
    purchases,
    rate_card_pages,
    reports,
    search,
    sign_up_grant,
    subscriptions,
    translations,
)
from webapp.admin.number import JobId, Number
from webapp.admin.stripe_links import StripeId, stripe_link


def register(app: Flask) -> None:
    """Add the pages and their menu; `<number:…>` in their paths is an id, `<stripe:…>` one of Stripe's."""
    app.url_map.converters["number"] = Number
    app.url_map.converters["job"] = JobId
    app.url_map.converters["stripe"] = StripeId
    app.jinja_env.globals["stripe_link"] = stripe_link
    navigation.register(app)
    for figures in (overview, reports, proof):
        app.register_blueprint(figures.pages)
    app.register_blueprint(translations.pages)
    app.register_blueprint(account_grant.pages)
    app.register_blueprint(account_pages.pages)
    for own in (approvals_page, audit_log, people, search):
        app.register_blueprint(own.pages)
    for offered in (packages, plans, campaigns, campaign_create, sign_up_grant):
        app.register_blueprint(offered.pages)
    app.register_blueprint(bulk.pages)
    app.register_blueprint(jobs.pages)
    impersonation.register(app)
    rate_card_pages.register(app)
    for money in (purchases, purchase, purchase_refund, subscriptions, orders, invoices, disputes, events):
        app.register_blueprint(money.pages)
    app.register_blueprint(plan_payment.pages)
    app.register_blueprint(plan_payment_refund.pages)
