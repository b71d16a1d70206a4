"""What a draft of the rate card would have cost, where that takes longer than somebody waits for a page."""

from jobs.attempt import attempt
from webapp.billing.rate_card_preview import continue_preview, fail_preview


def preview_rate_card(row_id: int) -> None:
    """The preview is some seconds of work further; the next such job goes on from there."""
    attempt(row_id, continue_preview, fail_preview)
