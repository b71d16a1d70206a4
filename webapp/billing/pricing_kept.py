"""The body of the pricing page as it was made last, for readers to whom all of it says the same."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any

from flask import current_app
from markupsafe import Markup

from webapp.catalog.shop_window import ShopWindow
from webapp.i18n.catalogs import content, messages
from webapp.i18n.formats import day
from webapp.i18n.locale import current_tag

MOST = 200


class KeptPages:
    """At most MOST of them; of more, those go that were made first."""

    def __init__(self) -> None:
        self._pages: OrderedDict[Hashable, tuple[tuple[Any, ...], Markup]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, name: Hashable, made_of: tuple[Any, ...]) -> Markup | None:
        """The page of that name, if it was made of these very objects."""
        of, page = self._pages.get(name, ((), Markup()))
        same = len(of) == len(made_of) and all(one is other for one, other in zip(of, made_of, strict=True))
        return page if same else None

    def put(self, name: Hashable, made_of: tuple[Any, ...], page: Markup) -> None:
        with self._lock:
            self._pages[name] = (made_of, page)
            while len(self._pages) > MOST:
                self._pages.popitem(last=False)


def keeper(window: ShopWindow, *says: Hashable) -> tuple[Markup | None, Callable[[Callable[[], Markup]], Markup]]:
    """The page as it is kept, or None; and what makes it where it isn't: `{% call keep() %}` in the template.

    It is made of the shop window, of the language's catalogs and of what `says` names; whatever else the page shows
    has to be named there.
    """
    pages: KeptPages = current_app.extensions.setdefault("pricing_kept", KeptPages())
    card = window.rate_card
    name = (current_tag(), day(card.effective_at) if card else None, *says)
    made_of = (window, messages.get_translations(), content.get_translations())
    kept = None if current_app.jinja_env.auto_reload else pages.get(name, made_of)

    def keep(caller: Callable[[], Markup]) -> Markup:
        if kept is not None:
            return kept
        page = caller()
        pages.put(name, made_of, page)
        return page

    return kept, keep
