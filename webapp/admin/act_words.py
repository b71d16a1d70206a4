"""What was done, as people read it: acts by their own label, and what is noted without a rehearsal by these words."""

from collections.abc import Mapping, Sequence

from flask_babel import lazy_gettext as _l

from webapp.admin.acts import ACTS

# Every act that `audit.record` is given outside of `define(Act(...))`.
NOTED: Mapping[str, object] = {
    "account.see_as": _l("See as the customer"),
    "account.see_as_end": _l("See as the customer: the end"),
    "approval.decline": _l("Decline what was asked for"),
    "bulk.drop": _l("Throw a file for many accounts away"),
    "bulk.stop": _l("Stop granting or taking for many accounts"),
    "feature.ceilings": _l("Change what plans allow of a feature"),
    "feature.change": _l("Change a feature"),
    "feature.create": _l("Make a feature"),
    "feature.move": _l("Move a feature in the shop window"),
    "rate_card.draft.change": _l("Change the draft of the rate card"),
    "rate_card.draft.discard": _l("Give up the draft of the rate card"),
    "rate_card.draft.start": _l("Begin a draft of the rate card"),
    "event.replay": _l("Handle an event of Stripe’s again"),
    "job.retry": _l("Try a failed job again"),
    "job.retry_all": _l("Try all failed jobs again"),
    "job.run": _l("Run a periodic job now"),
    "outbox.replay": _l("Put to work again what was set aside"),
    "outbox.replay_all": _l("Put everything to work again that was set aside"),
}


def act_words(act: str) -> str:
    """Its words, or the key itself of an act that is no more."""
    if act in ACTS:
        return str(ACTS[act].label)
    return str(NOTED.get(act, act))


def act_choices() -> Sequence[tuple[str, object]]:
    """(key, words) of all that can stand in the log, by their words."""
    return sorted(((key, act_words(key)) for key in {*ACTS, *NOTED}), key=lambda one: str(one[1]).casefold())
