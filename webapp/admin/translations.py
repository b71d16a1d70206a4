"""/admin/translations: how much is translated, files to take away and to hand in again."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import structlog
from flask import Blueprint, Response, abort, flash, redirect, render_template, request, send_file
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel import ngettext
from flask_login import current_user

from webapp.admin.fault_words import say
from webapp.database import unit_of_work
from webapp.i18n import checking, extraction, files, pseudo, updating
from webapp.i18n.accepting import CatalogRefused, Taken, take_catalog
from webapp.i18n.faults import Fault
from webapp.i18n.formats import credits_number
from webapp.i18n.locale import babel_name, language_name, tags
from webapp.i18n.reading import MOST_BYTES, NoCatalog
from webapp.people.roles import require_role

log = structlog.get_logger()

pages = Blueprint("admin_translations", __name__, url_prefix="/admin/translations")

DOMAIN_NAMES = {"messages": _l("Pages, mails and the API"), "content": _l("Names of the shop")}
MOST_FAULTS_SHOWN = 50


@pages.url_value_preprocessor
def _allow_a_whole_catalog(_endpoint: str | None, _values: dict[str, object] | None) -> None:
    """Before the form token is looked for in the body: other forms are smaller than a catalog may be."""
    request.max_content_length = MOST_BYTES + 64 * 1024


@dataclass(frozen=True, kw_only=True)
class Catalog:
    """One line of the page; counts are texts. `broken` are sentences for people who read English files."""

    tag: str
    domain: str
    translated: int
    fuzzy: int
    missing: int
    texts: int
    broken: list[str]

    @property
    def share(self) -> float:
        return self.translated / self.texts if self.texts else 1.0


@pages.get("")
@require_role("translator")
def overview() -> ResponseReturnValue:
    """Every language and domain, with what is done."""
    return _page()


def _page(*, refused: tuple[str, str, list[Fault]] | None = None, status: int = 200) -> ResponseReturnValue:
    shelves = [(tag, language_name(tag), [_catalog(tag, domain) for domain in files.DOMAINS]) for tag in _tags()]
    shown = [(fault.line, fault.source, say(fault)) for fault in refused[2][:MOST_FAULTS_SHOWN]] if refused else []
    page = render_template(
        "admin/translations.html",
        shelves=shelves,
        domain_names=DOMAIN_NAMES,
        refused=refused,
        faults=shown,
        more_faults=len(refused[2]) - len(shown) if refused else 0,
        pseudo=pseudo.wanted(),
    )
    return page, status


def _tags() -> list[str]:
    return [tag for tag in tags() if tag.split("-")[0] != "en"]


def _catalog(tag: str, domain: str) -> Catalog:
    name = babel_name(tag)
    figures, broken = _examined(name, domain, _state(files.po_path(name, domain)), _state(files.pot_path(domain)))
    return Catalog(
        tag=tag,
        domain=domain,
        translated=figures.translated,
        fuzzy=figures.fuzzy,
        missing=figures.texts - figures.translated - figures.fuzzy,
        texts=figures.texts,
        broken=[f"{fault.line}: {say(fault)}" if fault.line else say(fault) for fault in broken],
    )


def _state(path: Path) -> tuple[str, int, int] | None:
    """What tells one saving of the file from the next; None where there is none."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return str(path), found.st_mtime_ns, found.st_size


@lru_cache(maxsize=128)
def _examined(
    name: str, domain: str, po: tuple[str, int, int] | None, _pot: tuple[str, int, int] | None
) -> tuple[checking.Coverage, tuple[Fault, ...]]:
    """What is done and what is broken: reading a catalog takes half a second, so each state of a file is read once."""
    broken = checking.faults_of_file(name, domain) if po else []
    if po and not any(fault.kind == "syntax" for fault in broken):
        return checking.coverage(name, domain), tuple(broken)
    texts = sum(bool(message.id) for message in checking.read_template(domain))
    return checking.Coverage(locale=name, domain=domain, texts=texts, translated=0, fuzzy=0), tuple(broken)


@pages.get("/<tag>/<domain>.po")
@require_role("translator")
def download(tag: str, domain: str) -> Response:
    """The file as it stands, or the empty one of a language that has none yet."""
    name = _known(tag, domain)
    if not files.po_path(name, domain).exists():
        updating.update_locale(name, domain)
    path = files.po_path(name, domain)
    return send_file(
        path, mimetype="text/x-gettext-translation", as_attachment=True, download_name=f"{tag}-{domain}.po"
    )


@pages.post("/<tag>/<domain>")
@require_role("translator")
def upload(tag: str, domain: str) -> ResponseReturnValue:
    """Take the file `catalog`, or say line by line why not; then nothing has changed."""
    name = _known(tag, domain)
    handed_in = request.files.get("catalog")
    if handed_in is None or not handed_in.filename:
        flash(_("Choose a .po file first."), "bad")
        return redirect("/admin/translations", 303)
    with handed_in.stream as stream:
        data = stream.read()
    try:
        taken = take_catalog(name, domain, data)
    except CatalogRefused as error:
        log.info("catalog_refused", locale=tag, domain=domain, user=current_user.id, faults=len(error.faults))
        return _page(refused=(tag, domain, error.faults), status=422)
    except OSError as error:
        return _not_written(error, domain)
    log.info("catalog_taken", locale=tag, domain=domain, user=current_user.id, changed=taken.changed)
    flash(_taken(taken, language_name(tag)))
    return redirect("/admin/translations", 303)


def _not_written(error: OSError, domain: str) -> ResponseReturnValue:
    log.error("catalog_not_written", domain=domain, path=error.filename, error=str(error))
    flash(_("The folder of the translations cannot be written here. Ask whoever runs the servers."), "bad")
    return redirect("/admin/translations", 303)


def _taken(taken: Taken, language: str) -> str:
    changed: str = ngettext(
        "%(language)s: %(number)s text has changed and shows from now on.",
        "%(language)s: %(number)s texts have changed and show from now on.",
        taken.changed,
        number=credits_number(taken.changed),
        language=language,
    )
    if not taken.unknown:
        return changed
    left_out: str = ngettext(
        "%(number)s text that nobody asks for was left out.",
        "%(number)s texts that nobody asks for were left out.",
        taken.unknown,
        number=credits_number(taken.unknown),
    )
    return f"{changed} {left_out}"


@pages.post("/collect")
@require_role("translator")
def collect() -> ResponseReturnValue:
    """New names of the shop are in every language's file, waiting for their translation.

    A file that is no catalog stays as it is; the page names its line, once the others are done.
    """
    refused: tuple[str, str, list[Fault]] | None = None
    try:
        with unit_of_work() as session:
            extraction.write_template("content", extraction.collect_content(session))
        for tag in _tags():
            try:
                updating.update_locale(babel_name(tag), "content")
            except NoCatalog as error:
                refused = (tag, "content", [error.fault])
    except OSError as error:
        return _not_written(error, "content")
    if refused:
        return _page(refused=refused, status=422)
    flash(_("Every name of the shop is in the files now."))
    return redirect("/admin/translations", 303)


@pages.post("/pseudo")
@require_role("translator")
def switch_pseudo() -> ResponseReturnValue:
    """In this browser every marked text stands in brackets, or no longer. In sandbox mode only."""
    response = redirect("/admin/translations", 303)
    if pseudo.wanted():
        response.delete_cookie(pseudo.COOKIE)
    else:
        response.set_cookie(pseudo.COOKIE, "1", samesite="Lax", httponly=True)
    return response


def _known(tag: str, domain: str) -> str:
    if tag not in _tags() or domain not in files.DOMAINS:
        abort(404)
    return babel_name(tag)
