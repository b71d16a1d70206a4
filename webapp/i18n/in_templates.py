"""What templates call for texts: `_`, `gettext` and its sisters, and `{% trans %}` through them.

As Jinja's own (newstyle) they take every text for a format string, and in pages for markup. Those find their way
through two calls and fill placeholders where there are none; a page asks a hundred times.
"""

from typing import Any

from flask import Flask
from jinja2 import pass_context
from jinja2.runtime import Context
from markupsafe import Markup

from webapp.i18n.catalogs import messages


def register(app: Flask) -> None:
    """Templates read from the catalogs of the domain `messages`."""
    environment = app.jinja_env
    environment.newstyle_gettext = True  # type: ignore[attr-defined]
    environment.globals.update(_=gettext, gettext=gettext, ngettext=ngettext, pgettext=pgettext, npgettext=npgettext)


@pass_context
def gettext(context: Context, text: str, /, **variables: Any) -> str:
    catalog = messages.get_translations()
    if variables:
        return _fill(context, catalog.gettext(text), variables)
    return catalog.marked(text) if context.eval_ctx.autoescape else catalog.gettext(text) % {}


@pass_context
def ngettext(context: Context, one: str, many: str, number: int, /, **variables: Any) -> str:
    found = messages.get_translations().ungettext(one, many, number)
    return _fill(context, found, {"num": number, **variables})


@pass_context
def pgettext(context: Context, where: str, text: str, /, **variables: Any) -> str:
    found = messages.get_translations().upgettext(where, text)
    return _fill(context, found, {"context": where, **variables})


@pass_context
def npgettext(context: Context, where: str, one: str, many: str, number: int, /, **variables: Any) -> str:
    found = messages.get_translations().unpgettext(where, one, many, number)
    return _fill(context, found, {"context": where, "num": number, **variables})


def _fill(context: Context, text: str, variables: dict[str, Any]) -> str:
    """`text` with its placeholders filled; in a page it is markup, and what fills it is escaped."""
    if context.eval_ctx.autoescape:
        return Markup(text) % variables  # noqa: S704 - checked as markup before it was taken
    return text % variables
