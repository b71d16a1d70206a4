"""What the API answers about unlocks."""

from webapp.api.answers import Answer, UtcTime


class UnlockAnswer(Answer):
    """What is opened once with credits; `features` are the product's own keys. Null days are for good."""

    unlock: str
    name: str
    description: str
    features: list[str]
    credits: int
    duration_days: int | None


class UnlocksAnswer(Answer):
    """The unlocks on offer."""

    data: list[UnlockAnswer]


class OpenedAnswer(Answer):
    """What an account has unlocked: `entry` is the id of the spend that paid for it; null `until` is for good."""

    account: str
    unlock: str
    name: str
    features: list[str]
    credits: int
    since: UtcTime
    until: UtcTime | None
    entry: str


class OpenedUnlocksAnswer(Answer):
    """What an account has unlocked now, the first in front; `features` are those of all of them, each once."""

    features: list[str]
    data: list[OpenedAnswer]
