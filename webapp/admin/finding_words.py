"""What is wrong with a draft of the rate card, in the reader's language."""

from flask_babel import gettext

from webapp.catalog.pricing_terms import Finding


def N_(text: str) -> str:
    """Marks a text for translators where it is not translated yet."""
    return text


# Each follows the name of what it is about, such as features.image.credits.
KNOWN = frozenset(
    (
        N_("must be a table"),
        N_("%(name)s is both measured and chosen"),
        N_("means nothing where the model is %(model)s"),
        N_("must be one of %(words)s"),
        N_('must be a table, such as { quantity = 100, per = "month" }'),
        N_("means nothing in an allowance"),
        N_("is missing"),
        N_("must be a whole number"),
        N_("must be at least 1: nothing is charged at no price"),
        N_("must be at most 10^15"),
        N_("must be stated with a unit_size: %(words)s"),
        N_("must be a list of 1 to %(most)s tiers"),
        N_("overlaps the tier before it: must be more than %(before)s"),
        N_("means nothing in a tier"),
        N_("the last tier has no end: what lies above has no price"),
        N_("is missing: only the last tier has no end"),
        N_("must be a list of 1 to %(most)s rates"),
        N_("has a rate already"),
        N_("means nothing in a rate"),
        N_("must be a name: a letter, then letters, digits or _, all small; and not plan"),
        N_("must be a list of 1 to %(most)s variants"),
        N_("can never apply: an earlier variant does"),
        N_('must name one value or more by which it applies, such as { model = "large" }'),
        N_("can never be charged: its first unit makes the cost more than 10^15 credits"),
        N_("is no TOML: %(error)s"),
        N_("means nothing here"),
        N_("must price at least one feature"),
        N_("there is no such feature; there are %(known)s"),
    )
)


def say(finding: Finding) -> str:
    """What is wrong, to stand after where."""
    return str(gettext(finding.says, **finding.data))
