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


def allowed_words(quantity: int, per: str) -> str:
    """How much of something a plan allows."""
    if not quantity:
        return str(_("none at all"))
    words = {"limit": credits_number(quantity)}
    if per == "hour":
        return str(_("%(limit)s an hour", **words))
    if per == "day":
        return str(_("%(limit)s a day", **words))
    return str(_("%(limit)s a month", **words))


def fair_use_words(feature: str, quantity: int, per: str) -> str:
    """What a plan allows of the feature of that name, for who compares plans."""
    if not quantity:
        return str(_("%(feature)s: not included", feature=feature))
    # NOTE: Image: at most 50 a day
    return str(_("%(feature)s: at most %(allowed)s", feature=feature, allowed=allowed_words(quantity, per)))


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
