"""How every page of the sandbox is answered: its headers, its language, and which pages it may lead to."""

from collections.abc import Collection
from typing import Any
from urllib.parse import urlsplit

from flask import Response, make_response, render_template, request

from webapp.stripe_sandbox.cards import CARDS, Card
from webapp.stripe_sandbox.resources.payment_methods import methods_of
from webapp.stripe_sandbox.store import Store
from webapp.stripe_sandbox.texts import Texts, choose_texts


def page(
    name: str, texts: Texts, *, status: int = 200, goes_to: tuple[str | None, ...] = (), **values: Any
) -> Response:
    """A template with headers that let it load nothing foreign and post only here and to `goes_to`."""
    response = make_response(render_template(f"stripe_sandbox/{name}.html", t=texts, **values), status)
    targets = " ".join(sorted({_origin(url) for url in goes_to if url and "://" in url}))
    response.headers["Content-Security-Policy"] = (
        f"default-src 'none'; style-src 'self'; form-action 'self' {targets}; frame-ancestors 'none'; base-uri 'none'"
    )
    response.headers["Cache-Control"] = "no-store"
    response.headers["Referrer-Policy"] = "same-origin"
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


def texts_for(locale: str | None) -> Texts:
    """The asked locale's words, or the browser's."""
    preferred = [tag for tag, _ in request.accept_languages]
    return choose_texts(locale, preferred=preferred)


def saved_cards(
    store: Store, customer: str | None, *, redisplay: Collection[str] | None = None
) -> list[tuple[str, str]]:
    """`(id, "visa •••• 4242")` for what this customer can pay with again; only what `redisplay` lets be shown."""
    if customer is None:
        return []
    return [
        (one.id, _shown(one.data))
        for one in methods_of(store, customer)
        if redisplay is None or one.data["allow_redisplay"] in redisplay
    ]


def cards_to_try() -> list[Card]:
    return list(CARDS.values())


def _shown(method: dict[str, Any]) -> str:
    card = method.get("card")
    return f"{card['brand']} •••• {card['last4']}" if card else str(method["type"]).replace("_", " ")


def _origin(url: str) -> str:
    """Only what may stand in a header: the URL was checked for spaces when it was given."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}".replace(";", "").replace(",", "")
