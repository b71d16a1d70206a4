"""The catalog that Tallystick ships with: a start, to be changed in the shop's own database.

Plain data. Names, descriptions and units are English source texts for the content catalog of translations.
"""

from typing import Any

PACKAGES: list[dict[str, Any]] = [
    {
        "code": "starter",
        "name": "Starter",
        "description": "For a first project.",
        "credits": 500,
        "valid_months": 6,
        "prices": {"EUR": 900, "USD": 900, "GBP": 800, "JPY": 1400},
    },
    {
        "code": "standard",
        "name": "Standard",
        "description": "For regular work.",
        "credits": 2_000,
        "valid_months": 12,
        "popular": True,
        "prices": {"EUR": 2900, "USD": 2900, "GBP": 2500, "JPY": 4600},
    },
    {
        "code": "premium",
        "name": "Premium",
        "description": "For busy teams.",
        "credits": 5_000,
        "valid_months": 24,
        "prices": {"EUR": 6500, "USD": 6500, "GBP": 5700, "JPY": 10400},
    },
    {
        "code": "enterprise",
        "name": "Enterprise",
        "description": "For subscribers with a lot to do.",
        "credits": 20_000,
        "who_may_buy": "subscribers",
        "prices": {"EUR": 22000, "USD": 22000, "GBP": 19000, "JPY": 35000},
    },
]

PLANS: list[dict[str, Any]] = [
    {
        "code": "free",
        "name": "Free",
        "description": "To get to know it.",
        "credits_per_month": 100,
        "billed": "never",
        "prices": {},
    },
    {
        "code": "pro",
        "name": "Pro",
        "description": "Credits that arrive by themselves.",
        "credits_per_month": 1_000,
        "rollover_cap": 1_000,
        "billed": "monthly",
        "prices": {"EUR": 1200, "USD": 1200, "GBP": 1000, "JPY": 1900},
    },
    {
        "code": "pro-yearly",
        "name": "Pro, yearly",
        "description": "Twelve months for the price of ten.",
        "credits_per_month": 1_000,
        "rollover_cap": 1_000,
        "billed": "yearly",
        "prices": {"EUR": 12000, "USD": 12000, "GBP": 10000, "JPY": 19000},
    },
    {
        "code": "lifetime",
        "name": "Lifetime",
        "description": "Paid once, for good.",
        "credits_per_month": 300,
        "billed": "once",
        "prices": {"EUR": 24900, "USD": 24900, "GBP": 21900, "JPY": 39800},
    },
]

FEATURES: list[dict[str, Any]] = [
    {
        "key": "chat-message",
        "name": "Chat message",
        "description": "One message and its answer.",
        "unit": "a message",
        "credits_per_unit": 1,
    },
    {
        "key": "image",
        "name": "Image",
        "description": "One generated picture.",
        "unit": "an image",
        "credits_per_unit": 8,
    },
    {
        "key": "api-call",
        "name": "API call",
        "description": "One request to the programming interface.",
        "unit": "a call",
        "credits_per_unit": 1,
    },
    {
        "key": "export",
        "name": "Export",
        "description": "One report as a file.",
        "unit": "a report",
        "credits_per_unit": 12,
    },
]

UNLOCKS: list[dict[str, Any]] = [
    {
        "key": "brand-kit",
        "name": "Brand kit",
        "description": "Your own logo and colours on everything that you export.",
        "features": ["own-colours", "own-logo"],
        "credits": 250,
        "duration_days": None,
    },
    {
        "key": "high-resolution",
        "name": "High resolution",
        "description": "Images at four times the size.",
        "features": ["image-4k"],
        "credits": 25,
        "duration_days": 30,
    },
]
