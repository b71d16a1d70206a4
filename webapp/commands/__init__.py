"""The command line: `flask …`, one file for each noun."""

from flask import Flask

from webapp.commands import (
    account,
    api_key,
    campaign,
    catalog,
    database,
    jobs,
    ledger,
    ledger_import,
    ledger_rebuild,
    ledger_seal,
    maintenance,
    people,
    plan,
    plan_limits,
    purchase,
    rate_card,
    sandbox,
    seed,
    stripe,
    translations,
    unlock,
    usage,
)


def register(app: Flask) -> None:
    """Add the commands to `flask`."""
    app.cli.add_command(database.db_group)
    app.cli.add_command(database.db_url)
    app.cli.add_command(people.admin_group)
    app.cli.add_command(account.account_group)
    app.cli.add_command(api_key.api_key_group)
    app.cli.add_command(ledger.ledger_group)
    ledger.ledger_group.add_command(ledger_import.import_command)
    ledger.ledger_group.add_command(ledger_rebuild.rebuild_command)
    ledger.ledger_group.add_command(ledger_seal.seal_command)
    app.cli.add_command(stripe.stripe_group)
    app.cli.add_command(purchase.purchase_group)
    app.cli.add_command(plan.plan_group)
    plan.plan_group.add_command(plan_limits.limit_command)
    plan.plan_group.add_command(plan_limits.limits_command)
    plan.plan_group.add_command(plan_limits.unlimit_command)
    app.cli.add_command(rate_card.rate_card_group)
    app.cli.add_command(campaign.campaign_group)
    app.cli.add_command(unlock.unlock_group)
    app.cli.add_command(catalog.catalog_group)
    app.cli.add_command(jobs.jobs_group)
    app.cli.add_command(maintenance.maintenance_group)
    app.cli.add_command(usage.usage_group)
    app.cli.add_command(sandbox.sandbox_group)
    app.cli.add_command(seed.seed_group)
    app.cli.add_command(translations.translations_group)
