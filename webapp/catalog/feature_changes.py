"""Changing what features are called, how they are ordered, and making new ones. What they cost says the rate card."""

import re
from dataclasses import dataclass

from sqlalchemy import any_, exists, func, literal, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from webapp.catalog.ceilings import PlanLimit
from webapp.catalog.plan import Plan
from webapp.catalog.rate_card import Feature, Rate
from webapp.catalog.rate_card_draft import RateCardDraft

_KEY = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
MOST_KEY = 64
_ORDERING = 7130554  # key of the advisory lock


@dataclass(frozen=True, kw_only=True)
class FeatureWords:
    """What a feature is called: English source texts. `unit` says what one of it is, such as "an image"."""

    name: str
    description: str
    unit: str


class FeatureRefused(Exception):
    """`reason`: key (no key), taken (another feature has it), used (the key stays), gone (there is no such feature)."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class FeatureChanged(Exception):
    """Somebody else has changed the feature since it was read; `feature` is how it stands now."""

    def __init__(self, feature: Feature) -> None:
        self.feature = feature
        super().__init__(f"feature {feature.key!r} was changed")


def find_feature(session: Session, *, key: str) -> Feature | None:
    """The feature of that key, priced or not."""
    if "\x00" in key:  # PostgreSQL's text cannot hold it
        return None
    return session.get(Feature, key)


def all_features(session: Session) -> list[Feature]:
    """Every feature, priced or not, in the order of the shop window."""
    return list(session.scalars(select(Feature).order_by(Feature.position, Feature.key)))


def create_feature(session: Session, *, key: str, words: FeatureWords) -> Feature:
    """There is one more feature, the last in the shop window, and nothing prices it yet.

    Raises FeatureRefused (key, taken); nothing was written then.
    """
    _check_key(key)
    position = select(func.coalesce(func.max(Feature.position), 0) + 1).scalar_subquery()
    row = {"key": key, "position": position, "name": words.name, "description": words.description, "unit": words.unit}
    made = session.execute(insert(Feature).values(**row).on_conflict_do_nothing().returning(Feature.key)).first()
    if made is None:
        raise FeatureRefused("taken")
    return session.get_one(Feature, key)


def change_feature(session: Session, *, key: str, revision: int, words: FeatureWords, new_key: str = "") -> Feature:
    """The feature is called that, where nobody has changed it since that revision. Locks it.

    A `new_key` takes the place of one that nothing uses yet. The same again changes nothing, whatever the revision.
    Raises FeatureRefused (gone, key, taken, used) and FeatureChanged; nothing was written then.
    """
    locked = select(Feature).where(Feature.key == key).with_for_update()
    feature = session.scalars(locked.execution_options(populate_existing=True)).one_or_none()
    if feature is None:
        raise FeatureRefused("gone")
    new_key = new_key or key
    wanted = (new_key, words.name, words.description, words.unit)
    if wanted == (feature.key, feature.name, feature.description, feature.unit):
        return feature
    if feature.revision != revision:
        raise FeatureChanged(feature)
    if new_key != key:
        _check_key(new_key)
        if is_key_used(session, key=key):
            raise FeatureRefused("used")
        if session.get(Feature, new_key) is not None:
            raise FeatureRefused("taken")
    feature.key, feature.name, feature.description, feature.unit = wanted
    feature.revision += 1
    session.flush()
    return feature


def is_key_used(session: Session, *, key: str) -> bool:
    """Whether a version of the rate card, its draft, or a plan names the feature: then its key stays."""
    named = [
        exists().where(Rate.feature == key),
        exists().where(PlanLimit.feature == key),
        exists().where(literal(key) == any_(Plan.features)),
        exists().where(RateCardDraft.prices.has_key(key)),
    ]
    return any(session.execute(select(*named)).one())


def move_feature(session: Session, *, key: str, places: int) -> bool:
    """The feature stands so many places further down the shop window (up where negative); whether it could.

    Waits for whoever else orders features.
    """
    session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ORDERING})
    features = all_features(session)
    here = next((place for place, feature in enumerate(features) if feature.key == key), None)
    if here is None or not 0 <= here + places < len(features):
        return False
    features.insert(here + places, features.pop(here))
    for position, feature in enumerate(features, start=1):
        feature.position = position
    session.flush()
    return True


def _check_key(key: str) -> None:
    if len(key) > MOST_KEY or _KEY.fullmatch(key) is None:
        raise FeatureRefused("key")
