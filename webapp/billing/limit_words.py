"""Ceilings and allowances in words, for pages and programs."""

from flask_babel import gettext as _

from webapp.billing.account_limits import Measure
from webapp.catalog.metering import LimitReached
from webapp.i18n.formats import credits_number


def limit_words(refusal: LimitReached) -> str:
    """What a plan allows, and how much of it is used."""
    words = {"limit": credits_number(refusal.data["limit"]), "used": credits_number(refusal.data["used"])}
    per = refusal.data["window"]
    if per == "hour":
        return str(_("The plan allows %(limit)s of these an hour, and %(used)s are used.", **words))
    if per == "day":
        return str(_("The plan allows %(limit)s of these a day, and %(used)s are used.", **words))
    return str(_("The plan allows %(limit)s of these a month, and %(used)s are used.", **words))


def ceiling_words(one: Measure) -> str:
    """How much of what a plan allows is used now."""
    words = {"limit": credits_number(one.quantity), "used": credits_number(min(one.used, one.quantity))}
    if one.per == "hour":
        return str(_("%(used)s of at most %(limit)s used in this hour", **words))
    if one.per == "day":
        return str(_("%(used)s of at most %(limit)s used today", **words))
    return str(_("%(used)s of at most %(limit)s used this month", **words))


def allowance_words(one: Measure) -> str:
    """How much of what is free is used now."""
    words = {"free": credits_number(one.quantity), "used": credits_number(min(one.used, one.quantity))}
    if one.per == "day":
        return str(_("%(used)s of %(free)s free ones used today", **words))
    return str(_("%(used)s of %(free)s free ones used this month", **words))
