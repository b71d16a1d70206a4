"""Which language and time zone a reader gets.

Tags are BCP 47 everywhere outside (`pt-BR`); Babel wants `pt_BR` and raises on the other form, so the two meet in
`babel_name` alone. Only configured locales are ever chosen: whatever else a URL, a cookie, a header or a row says is
passed over, never an error.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import pytz
from babel import Locale, UnknownLocaleError
from flask import Flask, current_app, g, has_request_context, request
from flask_babel import force_locale, get_locale
from flask_login import current_user

COOKIE = "locale"


def register(app: Flask) -> None:
    """Give templates `locale_tag`, `text_direction`, `languages()` and `language_name(tag)`."""
    app.jinja_env.globals.update(languages=languages, language_name=language_name)
    app.context_processor(lambda: {"locale_tag": current_tag(), "text_direction": text_direction()})


def tags() -> tuple[str, ...]:
    """The configured locales, as BCP 47 tags."""
    found: tuple[str, ...] = current_app.config["SETTINGS"].locales
    return found


def babel_name(tag: str) -> str:
    return tag.replace("-", "_")


def match_tag(wanted: str | None) -> str | None:
    """The configured tag that serves a reader who wants `wanted`: it itself, its language, or a sister of it."""
    if not wanted or len(wanted) > 35 or not wanted.isascii():
        return None
    by_lower = {tag.lower(): tag for tag in tags()}
    lower = wanted.strip().lower().replace("_", "-")
    language = lower.split("-")[0]
    if lower in by_lower:
        return by_lower[lower]
    if language in by_lower:
        return by_lower[language]
    return next((tag for key, tag in by_lower.items() if key.split("-")[0] == language), None)


def use_tag(tag: str) -> None:
    """This request is answered in the configured locale `tag`, whatever the reader's settings say (a URL's prefix)."""
    g.locale_of_url = tag


def choose() -> str | None:
    """Babel's name of the locale for this request: URL, then the person's setting, cookie, header, default.

    None outside a request: the default, unless `use_locale` says otherwise.
    """
    return babel_name(_chosen_tag()) if has_request_context() else None


def _chosen_tag() -> str:
    for candidate in (g.get("locale_of_url"), _setting("locale"), request.cookies.get(COOKIE)):
        tag = match_tag(candidate)
        if tag is not None:
            return tag
    for wanted, quality in request.accept_languages:
        tag = match_tag(wanted) if quality > 0 else None
        if tag is not None:
            return tag
    default: str = current_app.config["SETTINGS"].default_locale
    return default


def choose_time_zone() -> Any:
    """The person's time zone, else UTC; a name that nobody knows is UTC too."""
    name = _setting("time_zone") if has_request_context() else None
    return pytz.timezone(name) if name in pytz.all_timezones_set else pytz.UTC


def known_zone(name: str | None) -> ZoneInfo:
    """The zone of that name, or UTC."""
    return ZoneInfo(name) if name and name in known_zones() else ZoneInfo("UTC")


@cache
def known_zones() -> frozenset[str]:
    """The IANA's names of time zones. Asked once: it walks through six hundred files."""
    return frozenset(available_timezones())


def _setting(name: str) -> str | None:
    """A setting of the signed-in person; None where nobody is, or where the database did not say."""
    if not hasattr(current_app, "login_manager"):
        return None
    value = getattr(current_user, name, None) if current_user else None
    return value if isinstance(value, str) else None


def current_tag() -> str:
    """The BCP 47 tag of the current locale, for `lang` and `hreflang`."""
    locale = get_locale()
    if locale is None:
        default: str = current_app.config["SETTINGS"].default_locale
        return default
    return str(locale).replace("_", "-")


def text_direction() -> str:
    locale = get_locale()
    return locale.text_direction if locale is not None else "ltr"


@contextmanager
def use_locale(tag: str | None) -> Iterator[None]:
    """Within the block everything is in the locale that serves `tag`; for jobs and mails, which have no request."""
    chosen = match_tag(tag) or current_app.config["SETTINGS"].default_locale
    with force_locale(babel_name(chosen)):
        yield


@cache
def language_name(tag: str) -> str:
    """A language's own name for itself."""
    try:
        locale = Locale.parse(babel_name(tag))
    except (ValueError, UnknownLocaleError):
        return tag
    name = locale.get_display_name() or tag
    return name[:1].upper() + name[1:]


def languages() -> list[tuple[str, str, str]]:
    """(tag, own name, direction) of each configured language."""
    return list(_named(tags()))


@cache
def _named(of: tuple[str, ...]) -> tuple[tuple[str, str, str], ...]:
    return tuple((tag, language_name(tag), Locale.parse(babel_name(tag)).text_direction) for tag in of)
