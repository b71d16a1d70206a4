"""A catalog in memory: what a page asks for a hundred times is one look into a dict."""

from collections.abc import Callable
from typing import Any

from babel.support import NullTranslations, Translations
from markupsafe import Markup

# Pages know some two thousand texts. What is beyond that is made each time, so that no text from elsewhere can pile up.
_MOST_MARKED = 4_000


class _Marked(dict[str, Markup]):
    """Source text → its translation as markup, each `%%` a percent sign; made once."""

    def __init__(self, catalog: NullTranslations) -> None:
        super().__init__()
        self._catalog = catalog

    def __missing__(self, text: str) -> Markup:
        made: Markup = Markup(self._catalog.gettext(text)) % {}  # noqa: S704 - checked as markup before it was taken
        # A lazy text is another one in the next language.
        if type(text) is str and len(self) < _MOST_MARKED:
            self[text] = made
        return made


class Texts(Translations):
    """The texts of one .mo; without one, everything is as in English. A newer file is another of these."""

    _catalog: dict[Any, str]

    def __init__(self, fp: Any = None) -> None:
        super().__init__(fp)
        # Source text → what a page shows of it where it has no placeholder to fill.
        self.marked: Callable[[str], Markup] = _Marked(self).__getitem__

    def gettext(self, message: str) -> str:
        found = self._catalog.get(message)
        return super().gettext(message) if found is None else found

    def pgettext(self, context: str, message: str) -> str:
        found = self._catalog.get(f"{context}\x04{message}")
        return str(super().pgettext(context, message)) if found is None else found

    ugettext = gettext
    upgettext = pgettext
