"""A feature's price as the fields of a form, and back: the common kinds. Others are written as text."""

import re
from collections.abc import Mapping
from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from webapp.catalog.pricing import FREE_PERS, ROUNDINGS, Pricing
from webapp.catalog.pricing_terms import MOST_TIERS, terms_of

MODELS = {
    "flat": _l("A flat price, whatever the quantity"),
    "per_unit": _l("For each unit"),
    "package": _l("For each started package of units"),
    "graduated": _l("Graduated: each unit at the price of the tier that it lies in"),
    "volume": _l("By volume: all units at the price of the tier that the quantity lies in"),
}
SPARE_ROWS = 2
MORE_ROWS = 3
_TIERED = ("graduated", "volume")
_DIGITS = re.compile(r"[0-9]{1,16}")


def labels() -> dict[str, str]:
    """What each field is called, tiers and all."""
    return {
        "model": _("How it is priced"),
        "credits": _("Credits"),
        "unit_size": _("Units for that price"),
        "rounding": _("Rounding"),
        "minimum": _("At least, in credits"),
        "up_to": _("Up to and including unit"),
        "tier_credits": _("Credits in the tier"),
        "free_quantity": _("Free units"),
        "free_per": _("In each"),
    }


class PriceForm:
    """What stands in the fields; everything is text until `terms`."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = {name: value.strip() for name, value in values.items()}
        self.rows = 0
        while self.rows < MOST_TIERS and f"tier_credits-{self.rows}" in self._values:
            self.rows += 1

    @classmethod
    def of(cls, pricing: Pricing | None) -> "PriceForm":
        """The fields for that price; empty ones for none, and for one that the form cannot say."""
        values: dict[str, Any] = {"keep_variants": "1"}
        if pricing is not None and pricing.model in MODELS:
            values |= {
                "model": pricing.model,
                "credits": pricing.credits or "",
                "unit_size": pricing.unit_size if pricing.unit_size > 1 else "",
                "rounding": pricing.rounding,
                "minimum": pricing.minimum if pricing.minimum > 1 else "",
            }
            for place, tier in enumerate(pricing.tiers):
                values |= {f"up_to-{place}": tier.up_to or "", f"tier_credits-{place}": tier.credits}
        if pricing is not None and pricing.free is not None:
            values |= {"free_quantity": pricing.free.quantity, "free_per": pricing.free.per}
        form = cls({name: str(value) for name, value in values.items()})
        form.rows += SPARE_ROWS
        return form

    @property
    def step(self) -> str:
        return self["step"]

    @property
    def models(self) -> list[tuple[str, object]]:
        return list(MODELS.items())

    @property
    def labels(self) -> dict[str, str]:
        return labels()

    def __getitem__(self, name: str) -> str:
        return self._values.get(name, "")

    def with_more_tiers(self) -> "PriceForm":
        self.rows = min(MOST_TIERS, self.rows + MORE_ROWS)
        return self

    def terms(self, before: Pricing | None) -> dict[str, Any]:
        """What the form says, as `read_pricing` takes it: of the fields those that the model has.

        Variants of the price as it was are kept where the form says so.
        """
        model = self["model"]
        terms: dict[str, Any] = {"model": model}
        words = {"flat": ("credits",), "graduated": ("unit_size", "minimum"), "volume": ("unit_size", "minimum")}
        for word in words.get(model, ("credits", "unit_size", "minimum")):
            if self[word]:
                terms[word] = _number(self[word])
        if model != "package" and terms.get("unit_size", 1) != 1 and self["rounding"]:
            terms["rounding"] = self["rounding"]
        if model in _TIERED:
            terms["tiers"] = [self._tier(row) for row in self._filled()]
        if self["free_quantity"]:
            terms["free"] = {"quantity": _number(self["free_quantity"]), "per": self["free_per"]}
        if before is not None and before.variants and self["keep_variants"]:
            terms["variants"] = terms_of(before)["variants"]
        return terms

    def messages(self, findings: Mapping[str, str]) -> dict[str, str]:
        """What is wrong, by the field of the form that it is about."""
        names = labels()
        said: dict[str, str] = {}
        for where, finding in findings.items():
            field = self._field(where)
            label = names.get(field.split("-")[0], where)
            # NOTE: a field's name, and what is wrong with what was typed there
            said.setdefault(field, _("%(field)s: %(finding)s", field=label, finding=finding))
        return said

    def _field(self, where: str) -> str:
        if found := re.fullmatch(r"tiers\[([0-9]+)\](?:\.(up_to|credits))?", where):
            row = self._filled()[int(found[1])]
            return f"up_to-{row}" if found[2] == "up_to" else f"tier_credits-{row}"
        if where == "tiers":
            return "tier_credits-0"
        field = {"free.quantity": "free_quantity", "free.per": "free_per"}.get(where, where)
        return field if field in labels() else "model"

    def _filled(self) -> list[int]:
        return [row for row in range(self.rows) if self[f"up_to-{row}"] or self[f"tier_credits-{row}"]]

    def _tier(self, row: int) -> dict[str, Any]:
        tier = {"up_to": self[f"up_to-{row}"], "credits": self[f"tier_credits-{row}"]}
        return {word: _number(written) for word, written in tier.items() if written}


def _number(written: str) -> int | str:
    return int(written) if _DIGITS.fullmatch(written) else written


def roundings() -> list[tuple[str, str]]:
    """The ways of rounding, to choose from."""
    words = {"up": _("up to the next credit"), "half_up": _("to the nearest credit")}
    return [(one, words[one]) for one in ROUNDINGS]


def free_pers() -> list[tuple[str, str]]:
    """What an allowance may be for, to choose from."""
    words = {"day": _("calendar day"), "month": _("calendar month")}
    return [(one, words[one]) for one in FREE_PERS]
