"""What was done, as people read it: acts by their own label, and what is noted without a rehearsal by these words."""

from collections.abc import Mapping, Sequence

from flask_babel import lazy_gettext as _l

from webapp.admin.acts import ACTS

# Every act that `audit.record` is given outside of `define(Act(...))`.
NOTED: Mapping[str, object] = {
    "account.see_as": _l("See as the customer"),
    "account.see_as_end": _l("See as the customer: the end"),
    "approval.agree": _l("Agree to what was asked for"),
    "approval.decline": _l("Decline what was asked for"),
    "bulk.drop": _l("Give up a file of many"),
    "bulk.stop": _l("Stop a file of many"),
    "campaign.change": _l("Change a campaign"),
    "campaign.create": _l("Make a campaign"),
    "event.replay": _l("Handle an event again"),
    "feature.ceilings": _l("Change a plan’s ceilings of a feature"),
    "feature.change": _l("Change a feature"),
    "feature.create": _l("Make a feature"),
    "feature.move": _l("Move a feature in the order"),
    "job.retry": _l("Try a job again"),
    "job.retry_all": _l("Try all failed jobs again"),
    "job.run": _l("Run a job now"),
    "outbox.replay": _l("Hand out parked work again"),
    "outbox.replay_all": _l("Hand out all parked work again"),
    "package.activate": _l("Offer a package"),
    "package.change": _l("Change a package"),
    "package.create": _l("Make a package"),
    "package.deactivate": _l("Offer a package no more"),
    "package.move": _l("Move a package in the order"),
    "plan.activate": _l("Offer a plan"),
    "plan.change": _l("Change a plan"),
    "plan.create": _l("Make a plan"),
    "plan.deactivate": _l("Offer a plan no more"),
    "plan.move": _l("Move a plan in the order"),
    "rate_card.draft.change": _l("Change the draft of the rate card"),
    "rate_card.draft.discard": _l("Discard the draft of the rate card"),
    "rate_card.draft.start": _l("Begin a draft of the rate card"),
}


def act_words(act: str) -> str:
    """Its words, or the key itself of an act that is no more."""
    if act in ACTS:
        return str(ACTS[act].label)
    return str(NOTED.get(act, act))


def act_choices() -> Sequence[tuple[str, object]]:
    """(key, words) of all that can stand in the log, by their words."""
    return sorted(((key, act_words(key)) for key in {*ACTS, *NOTED}), key=lambda one: str(one[1]).casefold())
