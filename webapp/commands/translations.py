"""flask translations: from marked texts to translated pages."""

from collections.abc import Iterator
from contextlib import contextmanager

import click
from flask import current_app
from flask.cli import AppGroup

from webapp.i18n import checking, compiling, extraction, updating
from webapp.i18n.files import DOMAINS, locale_names, po_path, present, shown
from webapp.i18n.locale import babel_name
from webapp.i18n.reading import NoCatalog

translations_group = AppGroup("translations", help="Extract, update, check and compile translations.")


@translations_group.command("extract")
def extract() -> None:
    """Write translations/messages.pot from code and templates."""
    changed = extraction.write_template("messages", extraction.extract_messages())
    click.echo("messages.pot " + ("written" if changed else "is up to date"))


@translations_group.command("sync")
@click.option("--shipped-only", is_flag=True, help="Leave out what only this database has.")
def sync(shipped_only: bool) -> None:
    """Write translations/content.pot from the shipped catalog and this database's."""
    from webapp.database import unit_of_work

    if shipped_only:
        catalog = extraction.collect_content(None)
    else:
        with unit_of_work() as session:
            catalog = extraction.collect_content(session)
    changed = extraction.write_template("content", catalog)
    click.echo("content.pot " + ("written" if changed else "is up to date"))


@translations_group.command("update")
def update() -> None:
    """Bring every locale's .po to the templates: new texts empty, gone ones out."""
    for name in _locales():
        for domain in DOMAINS:
            with _naming(name, domain):
                click.echo(shown(updating.update_locale(name, domain)))


@translations_group.command("compile")
def compile_() -> None:
    """Write the .mo files. Running processes take them up within a second.

    A broken catalog is named and left out: what was compiled before goes on. Exit 1 then.
    """
    refused = False
    for name, domain in present():
        found = checking.problems(name, domain)
        for problem in found:
            click.echo(problem, err=True)
        if found:
            refused = True
        else:
            click.echo(shown(compiling.compile_locale(name, domain)))
    if refused:
        raise SystemExit(1)


@translations_group.command("check")
def check() -> None:
    """Find broken placeholders, tags and plural forms; exit 1 at any."""
    found = [problem for name, domain in present() for problem in checking.problems(name, domain)]
    for problem in found:
        click.echo(problem, err=True)
    if found:
        raise SystemExit(1)
    click.echo("Every translation fits its source.")


@translations_group.command("coverage")
@click.option("--fail-under", type=float, default=0, help="Exit 1 when a locale has less than this percentage.")
def coverage(fail_under: float) -> None:
    """Print how much of each locale is translated."""
    low = False
    for name, domain in present():
        with _naming(name, domain):
            figures = checking.coverage(name, domain)
        low = low or figures.percent < fail_under
        click.echo(
            f"{name:8} {domain:10} {figures.translated:4} of {figures.texts:4} {figures.percent:6.1f} %  "
            f"{figures.fuzzy} fuzzy"
        )
    if low:
        raise SystemExit(1)


@contextmanager
def _naming(name: str, domain: str) -> Iterator[None]:
    """A .po that is no catalog ends the command with its name, its line and what is wrong."""
    try:
        yield
    except NoCatalog as error:
        place = f"{shown(po_path(name, domain))}:{error.fault.line or 1}"
        raise click.ClickException(f"{place}: {error.fault}") from None


def _locales() -> list[str]:
    """Every configured locale but English, the source."""
    wanted = [babel_name(tag) for tag in current_app.config["SETTINGS"].locales]
    return [name for name in sorted({*wanted, *locale_names()}) if name.split("_")[0] != "en"]
