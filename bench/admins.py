"""What admins look at: sales and events beside the people and their history, and the pages that list all of it."""

import psycopg

AIM_MS = 50.0

# What stands in braces is of another account each time.
LISTS = (
    "/admin/accounts",
    "/admin/accounts?sort=balance",
    "/admin/accounts?sort=oldest",
    "/admin/purchases",
    "/admin/purchases?sort=oldest",
    "/admin/purchases?package=starter",
    "/admin/purchases?of={account_name}",
    "/admin/events",
    "/admin/events?state=handled",
    "/admin/subscriptions",
    "/admin/invoices",
    "/admin/orders",
    "/admin/disputes",
    "/admin/approvals",
    "/admin/audit-log",
)
OF_ONE_ACCOUNT = (
    "/admin/accounts/{account}",
    "/admin/accounts/{account}/entries/{newest}",
    "/admin/accounts/{account}/grant",
)
SEARCHES = (
    "/admin/search?q={account_name}@bench.example.com",
    "/admin/search?q={account_name}",
    "/admin/search?q={account}",
    "/admin/search?q={account}:{newest}",
    "/admin/search?q=many-",
    "/admin/search?q=evt_bench{account}",
    "/admin/search?q=nobody@nowhere.example.com",
)
OTHERS = (
    "/admin/overview",
    "/admin/packages",
    "/admin/plans",
    "/admin/features",
    "/admin/rate-card",
    "/admin/campaigns",
    "/admin/bulk",
    "/admin/reports",
    "/admin/jobs",
    "/admin/proof",
    "/admin/people",
)

# Every tenth has bought something, each sale with an event about it; every fortieth is on a plan that was paid once.
_ROWS = (
    """
INSERT INTO purchases (user_id, account_id, external_id, intent, mode, package, package_name, shown_name, credits,
                       price_minor, currency, locale, created_at)
SELECT id, account_id, external_id, 'bench-' || id, 'sandbox', 'starter', 'Starter', 'Starter', 500, 900, 'EUR', 'en',
       now() - make_interval(mins => id::int % 100000)
FROM users WHERE external_id LIKE 'many-%' AND id % 10 = 0
""",
    """
INSERT INTO stripe_events (id, type, livemode, created_at, payload, received_at, state, handled_at)
SELECT 'evt_bench' || id, 'checkout.session.completed', false, now(),
       jsonb_build_object('data', jsonb_build_object('object', jsonb_build_object('id', 'cs_bench' || id))),
       now() - make_interval(mins => id::int % 100000), 'handled', now()
FROM users WHERE external_id LIKE 'many-%' AND id % 10 = 0
""",
    """
INSERT INTO subscriptions (mode, stripe_subscription_id, stripe_customer_id, account_id, external_id, plan, price_minor,
                           currency, status, cancel_at_period_end, created_at)
SELECT 'sandbox', 'sub_bench' || id, 'cus_bench' || id, account_id, external_id, 'pro', 1200, 'EUR', 'active', false,
       now() - make_interval(mins => id::int % 100000)
FROM users WHERE external_id LIKE 'many-%' AND id % 40 = 0
""",
    """
INSERT INTO subscription_invoices (stripe_invoice_id, subscription_id, account_id, billing_reason, status, total_minor,
                                   paid_minor, currency, created_at)
SELECT 'in_bench' || id, id, account_id, 'subscription_cycle', 'paid', 1200, 1200, 'EUR', created_at FROM subscriptions
""",
    """
INSERT INTO audit_log (at, user_id, who, ip, act, subject, account_id, reason, before, after, credits, price_minor,
                       currency)
SELECT now() - make_interval(mins => id::int % 100000), 1, 'owner@bench.example.com', '192.0.2.1', 'account.grant',
       'account:' || account_id, account_id, 'Bench', '{"balance": 0}', '{"balance": 5}', 5, 0, ''
FROM users WHERE external_id LIKE 'many-%' AND id % 10 = 0
""",
)


def make_sales(superuser_url: str) -> None:
    """There are purchases, events, subscriptions with invoices and lines of the log about the many; the catalog is."""
    with psycopg.connect(superuser_url) as connection:
        for statement in _ROWS:
            connection.execute(statement.encode())


def make_owner(superuser_url: str, *, account_id: int) -> None:
    """The person with that account may do everything."""
    with psycopg.connect(superuser_url) as connection:
        connection.execute("UPDATE users SET role = 'owner' WHERE account_id = %s", [account_id])
