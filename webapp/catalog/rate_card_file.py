"""A rate card as a TOML file, to be drafted, reviewed and kept beside code."""

import json
import tomllib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from webapp.catalog.pricing import Pricing
from webapp.catalog.pricing_terms import Finding, read_pricing, terms_of

Prices = dict[str, Pricing]  # feature → what it costs


class CardRefused(Exception):
    """A draft cannot be published: everything that is wrong with it."""

    def __init__(self, findings: list[Finding]) -> None:
        self.findings = findings
        super().__init__("; ".join(str(finding) for finding in findings))


@dataclass(frozen=True, kw_only=True)
class Change:
    """What becomes of one feature's price; None where it has none."""

    feature: str
    before: Pricing | None
    after: Pricing | None


def read_card(content: str, *, features: Collection[str]) -> Prices:
    """The prices that the file states, of some of `features`. Raises CardRefused with every problem of it."""
    try:
        raw = tomllib.loads(content)
    except (ValueError, RecursionError) as error:  # a number of thousands of digits is a ValueError, too
        raise CardRefused([Finding(where="file", says="is no TOML: %(error)s", data={"error": str(error)})]) from None
    findings = [Finding(where=word, says="means nothing here") for word in raw if word != "features"]
    priced = raw.get("features")
    if not isinstance(priced, dict) or not priced:
        raise CardRefused([*findings, Finding(where="features", says="must price at least one feature")])
    findings += unknown_features(priced, known=features)
    prices: Prices = {}
    for feature, terms in priced.items():
        read = read_pricing(terms, where=f"features.{feature}")
        if isinstance(read, Pricing):
            prices[feature] = read
        else:
            findings += read
    if findings:
        raise CardRefused(findings)
    return prices


def unknown_features(priced: Iterable[str], *, known: Collection[str]) -> list[Finding]:
    """Each that is priced but does not exist."""
    says, data = "there is no such feature; there are %(known)s", {"known": ", ".join(known) or "none"}
    return [Finding(where=f"features.{feature}", says=says, data=data) for feature in priced if feature not in known]


def write_card(prices: Mapping[str, Pricing], *, heading: str, names: Mapping[str, str]) -> str:
    """The file that `read_card` reads the same prices from; `names` are remarks for people."""
    parts = [f"# {_one_line(heading)}\n"]
    for feature, pricing in prices.items():
        lines = [f"{word} = {_value(value)}" for word, value in terms_of(pricing).items()]
        remark = f"  # {_one_line(names[feature])}" if names.get(feature) else ""
        parts.append("\n".join([f"[features.{_key(feature)}]{remark}", *lines]) + "\n")
    return "\n".join(parts)


def changes_between(before: Mapping[str, Pricing], after: Mapping[str, Pricing]) -> list[Change]:
    """Each feature whose price is not the same in both."""
    both = dict.fromkeys([*before, *after])
    changes = [Change(feature=one, before=before.get(one), after=after.get(one)) for one in both]
    return [change for change in changes if change.before != change.after]


def in_one_line(pricing: Pricing) -> str:
    """The pricing's terms as people compare them: `per_unit, credits = 8`."""
    terms = terms_of(pricing)
    rest = [f"{word} = {_inline(value)}" for word, value in terms.items() if word != "model"]
    return ", ".join([terms["model"], *rest])


def _value(value: Any) -> str:
    if isinstance(value, list):
        return "[\n" + "".join(f"  {_inline(one)},\n" for one in value) + "]"
    return _inline(value)


def _inline(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_key(word)} = {_inline(one)}" for word, one in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(_inline(one) for one in value) + "]"
    return str(value) if type(value) is int else _text(value)


def _key(word: str) -> str:
    plain = word.isascii() and word.replace("-", "").replace("_", "").isalnum()
    return word if plain else _text(word)


def _text(value: str) -> str:
    # JSON's escapes are TOML's, but for DEL, which TOML wants escaped, too.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _one_line(remark: str) -> str:
    return " ".join("".join(one if one.isprintable() else " " for one in remark).split())
