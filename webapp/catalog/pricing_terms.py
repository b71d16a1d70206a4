"""A feature's pricing as plain values, as files and the database hold it, and what is wrong with it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from webapp.catalog.pricing import (
    FREE_PERS,
    MODELS,
    MOST_CREDITS,
    ROUNDINGS,
    Allowance,
    DimensionRate,
    Pricing,
    Tier,
    Variant,
)

MOST_TIERS = 100
MOST_VARIANTS = 100
PLAN = "plan"  # the dimension that says which plan the account is on; no caller says it

_UNIT_WORDS = {"unit_size", "rounding", "minimum"}
_WORDS = {
    "flat": {"credits"},
    "per_unit": {"credits", *_UNIT_WORDS},
    "graduated": {"tiers", *_UNIT_WORDS},
    "volume": {"tiers", *_UNIT_WORDS},
    "package": {"credits", "unit_size", "minimum"},
    "dimensions": {"rates", "rounding", "minimum"},
}


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What is wrong, and where: `features.image.credits`. `says` is English; `data` are the values it names."""

    where: str
    says: str
    data: Mapping[str, str | int] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.where}: {self.says % self.data if self.data else self.says}"


def pricing_from(terms: Mapping[str, Any]) -> Pricing:
    """The pricing that `terms_of` wrote down; they were validated before."""
    tiers = tuple(Tier(up_to=tier.get("up_to"), credits=tier["credits"]) for tier in terms.get("tiers", ()))
    rates = tuple(DimensionRate(**rate) for rate in terms.get("rates", ()))
    variants = tuple(
        Variant(
            when=_in_order(one["when"]),
            pricing=pricing_from({word: value for word, value in one.items() if word != "when"}),
        )
        for one in terms.get("variants", ())
    )
    free = Allowance(**terms["free"]) if "free" in terms else None
    return Pricing(**{**terms, "tiers": tiers, "rates": rates, "free": free, "variants": variants})


def terms_of(pricing: Pricing) -> dict[str, Any]:
    """The same as plain values, without what goes without saying."""
    terms: dict[str, Any] = {"model": pricing.model}
    if pricing.tiers:
        terms["tiers"] = [
            {"credits": tier.credits} if tier.up_to is None else {"up_to": tier.up_to, "credits": tier.credits}
            for tier in pricing.tiers
        ]
    elif pricing.rates:
        terms |= {"rounding": pricing.rounding, "rates": [_rate_terms(rate) for rate in pricing.rates]}
    else:
        terms["credits"] = pricing.credits
    if pricing.model == "package":
        terms["unit_size"] = pricing.unit_size
    elif pricing.unit_size > 1:
        terms |= {"unit_size": pricing.unit_size, "rounding": pricing.rounding}
    if pricing.minimum > 1:
        terms["minimum"] = pricing.minimum
    if pricing.free is not None:
        terms["free"] = {"quantity": pricing.free.quantity, "per": pricing.free.per}
    if pricing.variants:
        terms["variants"] = [{"when": dict(one.when), **terms_of(one.pricing)} for one in pricing.variants]
    return terms


def _rate_terms(rate: DimensionRate) -> dict[str, Any]:
    terms: dict[str, Any] = {"dimension": rate.dimension, "credits": rate.credits}
    return terms if rate.unit_size == 1 else {**terms, "unit_size": rate.unit_size}


def read_pricing(raw: Any, *, where: str) -> Pricing | list[Finding]:
    """The pricing that somebody wrote down, or everything that is wrong with it."""
    if not isinstance(raw, dict):
        return [Finding(where=where, says="must be a table")]
    base = _read_one({word: value for word, value in raw.items() if word != "variants"}, where)
    findings = [] if isinstance(base, Pricing) else base
    variants = _variants(raw["variants"], f"{where}.variants", findings) if "variants" in raw else ()
    if findings or not isinstance(base, Pricing):
        return findings
    pricing = replace(base, variants=variants)
    both = pricing.chosen & pricing.measured.union(*(one.pricing.measured for one in variants))
    says = "%(name)s is both measured and chosen"
    return [Finding(where=where, says=says, data={"name": name}) for name in sorted(both)] or pricing


def _read_one(raw: Mapping[str, Any], where: str) -> Pricing | list[Finding]:
    model = raw.get("model")
    if not isinstance(model, str) or model not in MODELS:
        return [_one_of(MODELS, f"{where}.model")]
    words = _WORDS[model]
    findings = [
        Finding(where=f"{where}.{word}", says="means nothing where the model is %(model)s", data={"model": model})
        for word in raw
        if word not in words and word not in ("model", "free")
    ]
    numbers = {
        word: _number(
            raw, word, where, findings, required=word == "credits" or (word, model) == ("unit_size", "package")
        )
        for word in ("credits", "unit_size", "minimum")
        if word in words
    }
    rounding = _rounding(raw, where, findings) if "rounding" in words else "up"
    tiers = _tiers(raw.get("tiers"), f"{where}.tiers", findings) if "tiers" in words else ()
    rates = _rates(raw, where, findings) if "rates" in words else ()
    free = _allowance(raw["free"], f"{where}.free", findings) if "free" in raw else None
    if findings:
        return findings
    given: dict[str, Any] = {word: number for word, number in numbers.items() if number is not None}
    pricing = Pricing(model=model, rounding=rounding, tiers=tiers, rates=rates, free=free, **given)
    return _unreachable(pricing, where) or pricing


def _one_of(words: tuple[str, ...], where: str) -> Finding:
    listed = " or ".join(words) if len(words) == 2 else ", ".join(words)
    return Finding(where=where, says="must be one of %(words)s", data={"words": listed})


def _allowance(raw: Any, where: str, findings: list[Finding]) -> Allowance | None:
    if not isinstance(raw, dict):
        findings.append(Finding(where=where, says='must be a table, such as { quantity = 100, per = "month" }'))
        return None
    findings += [
        Finding(where=f"{where}.{word}", says="means nothing in an allowance")
        for word in raw
        if word not in ("quantity", "per")
    ]
    quantity, per = _number(raw, "quantity", where, findings, required=True), raw.get("per")
    if not isinstance(per, str) or per not in FREE_PERS:
        findings.append(_one_of(FREE_PERS, f"{where}.per"))
        return None
    return None if quantity is None else Allowance(quantity=quantity, per=per)


def _number(raw: Mapping[str, Any], word: str, where: str, findings: list[Finding], *, required: bool) -> int | None:
    if word not in raw and not required:
        return None
    value = raw.get(word)
    if type(value) is int and 1 <= value <= MOST_CREDITS:
        return value
    findings.append(Finding(where=f"{where}.{word}", says=_wrong_number(value)))
    return None


def _wrong_number(value: Any) -> str:
    if value is None:
        return "is missing"
    if type(value) is not int:
        return "must be a whole number"
    return "must be at least 1: nothing is charged at no price" if value < 1 else "must be at most 10^15"


def _rounding(raw: Mapping[str, Any], where: str, findings: list[Finding]) -> str:
    rounding = raw.get("rounding")
    if rounding in ROUNDINGS and isinstance(rounding, str):
        return rounding
    if rounding is None and raw.get("unit_size", 1) == 1:
        return "up"
    findings.append(_unstated_rounding(where) if rounding is None else _one_of(ROUNDINGS, f"{where}.rounding"))
    return "up"


def _unstated_rounding(where: str) -> Finding:
    says, data = "must be stated with a unit_size: %(words)s", {"words": " or ".join(ROUNDINGS)}
    return Finding(where=f"{where}.rounding", says=says, data=data)


def _tiers(raw: Any, where: str, findings: list[Finding]) -> tuple[Tier, ...]:
    if not isinstance(raw, list) or not 1 <= len(raw) <= MOST_TIERS:
        findings.append(Finding(where=where, says="must be a list of 1 to %(most)s tiers", data={"most": MOST_TIERS}))
        return ()
    tiers, before = [], 0
    for place, one in enumerate(raw):
        here, last = f"{where}[{place}]", place == len(raw) - 1
        tier = _tier(one, here, findings, last=last)
        if tier is None:
            continue
        if tier.up_to is not None:
            if tier.up_to <= before:
                says = "overlaps the tier before it: must be more than %(before)s"
                findings.append(Finding(where=f"{here}.up_to", says=says, data={"before": before}))
            before = max(before, tier.up_to)
        tiers.append(tier)
    return tuple(tiers)


def _tier(raw: Any, where: str, findings: list[Finding], *, last: bool) -> Tier | None:
    if not isinstance(raw, dict):
        findings.append(Finding(where=where, says="must be a table"))
        return None
    findings += [
        Finding(where=f"{where}.{word}", says="means nothing in a tier")
        for word in raw
        if word not in ("up_to", "credits")
    ]
    credits = _number(raw, "credits", where, findings, required=True)
    up_to = _number(raw, "up_to", where, findings, required=False)
    if last and "up_to" in raw:
        findings.append(Finding(where=f"{where}.up_to", says="the last tier has no end: what lies above has no price"))
    if not last and "up_to" not in raw:
        findings.append(Finding(where=f"{where}.up_to", says="is missing: only the last tier has no end"))
    return None if credits is None else Tier(up_to=up_to, credits=credits)


def _rates(raw: Mapping[str, Any], where: str, findings: list[Finding]) -> tuple[DimensionRate, ...]:
    listed = raw.get("rates")
    if not isinstance(listed, list) or not 1 <= len(listed) <= MOST_TIERS:
        says = "must be a list of 1 to %(most)s rates"
        findings.append(Finding(where=f"{where}.rates", says=says, data={"most": MOST_TIERS}))
        return ()
    rates = [_rate(one, f"{where}.rates[{place}]", findings) for place, one in enumerate(listed)]
    named = [rate.dimension for rate in rates if rate]
    for place, rate in enumerate(rates):
        if rate and rate.dimension in named[:place] and None not in rates:
            findings.append(Finding(where=f"{where}.rates[{place}].dimension", says="has a rate already"))
    if raw.get("rounding") is None and any(rate and rate.unit_size > 1 for rate in rates):
        findings.append(_unstated_rounding(where))
    return tuple(rate for rate in rates if rate)


def _rate(raw: Any, where: str, findings: list[Finding]) -> DimensionRate | None:
    if not isinstance(raw, dict):
        findings.append(Finding(where=where, says="must be a table"))
        return None
    before = len(findings)
    findings += [
        Finding(where=f"{where}.{word}", says="means nothing in a rate")
        for word in raw
        if word not in ("dimension", "credits", "unit_size")
    ]
    credits = _number(raw, "credits", where, findings, required=True)
    unit_size = _number(raw, "unit_size", where, findings, required=False)
    dimension = raw.get("dimension")
    if not _names_dimension(dimension) or dimension == PLAN:
        says = "must be a name: a letter, then letters, digits or _, all small; and not plan"
        findings.append(Finding(where=f"{where}.dimension", says=says))
    if len(findings) > before or credits is None:
        return None
    return DimensionRate(dimension=str(dimension), credits=credits, unit_size=unit_size or 1)


def _names_dimension(name: Any) -> bool:
    return isinstance(name, str) and re.fullmatch(r"[a-z][a-z0-9_]{0,63}", name) is not None


def _variants(raw: Any, where: str, findings: list[Finding]) -> tuple[Variant, ...]:
    if not isinstance(raw, list) or not 1 <= len(raw) <= MOST_VARIANTS:
        findings.append(
            Finding(where=where, says="must be a list of 1 to %(most)s variants", data={"most": MOST_VARIANTS})
        )
        return ()
    variants: list[Variant] = []
    for place, one in enumerate(raw):
        variant = _variant(one, f"{where}[{place}]", findings)
        if variant is None:
            continue
        if any(set(earlier.when) <= set(variant.when) for earlier in variants):
            findings.append(Finding(where=f"{where}[{place}].when", says="can never apply: an earlier variant does"))
        variants.append(variant)
    return tuple(variants)


def _variant(raw: Any, where: str, findings: list[Finding]) -> Variant | None:
    if not isinstance(raw, dict):
        findings.append(Finding(where=where, says="must be a table"))
        return None
    when = raw.get("when")
    if not (isinstance(when, dict) and when and all(_names_dimension(name) for name in when)) or not all(
        isinstance(value, str) and 1 <= len(value) <= 100 and value.isprintable() for value in when.values()
    ):
        says = 'must name one value or more by which it applies, such as { model = "large" }'
        findings.append(Finding(where=f"{where}.when", says=says))
        when = None
    pricing = _read_one({word: value for word, value in raw.items() if word != "when"}, where)
    if not isinstance(pricing, Pricing):
        findings += pricing
        return None
    return Variant(when=_in_order(when), pricing=pricing) if when else None


def _in_order(when: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """By name, for the database keeps no order, and the same price must be equal to itself."""
    return tuple(sorted(when.items()))


def _unreachable(pricing: Pricing, where: str) -> list[Finding]:
    """Tiers that nobody can get to, because what they begin with costs more than a charge may."""
    says = "can never be charged: its first unit makes the cost more than 10^15 credits"
    starts = [1, *(tier.up_to + 1 for tier in pricing.tiers if tier.up_to is not None)]
    return [
        Finding(where=f"{where}.tiers[{place}]", says=says)
        for place, start in enumerate(starts)
        if pricing.tiers and pricing.cost(start) > MOST_CREDITS
    ]
