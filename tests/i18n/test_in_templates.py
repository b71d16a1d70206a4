"""What templates call for texts behaves as Jinja's own gettext does, in pages and in plain mails."""

import pytest
from flask import Flask, current_app, render_template_string
from flask_babel import gettext, lazy_gettext, refresh
from jinja2 import Environment
from markupsafe import Markup

from webapp.i18n import texts
from webapp.i18n.catalogs import messages
from webapp.i18n.locale import use_locale
from webapp.i18n.texts import Texts

# Not in any catalog, so that what comes out is the source's own.
TEMPLATES = [
    "{{ _('Half of it, 50 %% <b>now</b>') }}",
    "{{ _('For %(who)s, <b>now</b>', who=who) }}",
    "{{ gettext('For %(text)s', text=who) }}",
    "{{ ngettext('%(num)s day of %(who)s', '%(num)s days of %(who)s', 3, who=who) }}",
    "{{ ngettext('%(num)s day', '%(num)s days', 1, num='one') }}",
    "{{ pgettext('here', 'For %(who)s in %(context)s', who=who) }}",
    "{{ npgettext('here', '%(num)s day %(context)s', '%(num)s days %(context)s', 2) }}",
    "{% trans who=who %}For {{ who }} <b>100 %</b>{% endtrans %}",
    "{% trans count=3, who=who %}one for {{ who }}{% pluralize %}{{ count }} for {{ who }}{% endtrans %}",
    "{% trans trimmed %} a\n  b {% endtrans %}",
    "{{ _(who) }}",
]


@pytest.fixture
def jinjas_own(app: Flask) -> Environment:
    """The application's templates with the functions that Jinja makes of a catalog's."""
    environment = app.jinja_env.overlay()
    environment.globals = {**environment.globals}
    environment.install_gettext_callables(  # type: ignore[attr-defined]
        gettext=lambda text: messages.get_translations().ugettext(text),
        ngettext=lambda one, many, number: messages.get_translations().ungettext(one, many, number),
        pgettext=lambda context, text: messages.get_translations().upgettext(context, text),
        npgettext=lambda context, one, many, number: messages.get_translations().unpgettext(context, one, many, number),
        newstyle=True,
    )
    return environment


@pytest.mark.parametrize("escaping", ["true", "false"])
@pytest.mark.parametrize("template", TEMPLATES)
def test_templates_say_what_they_would_with_jinjas_own(
    app: Flask, jinjas_own: Environment, template: str, escaping: str
) -> None:
    source = f"{{% autoescape {escaping} %}}{template}{{% endautoescape %}}"
    with app.test_request_context("/"), use_locale("ar"):
        for who in ("<i>Ada</i>", Markup("<i>Ada</i>"), "Grace"):
            said = app.jinja_env.from_string(source).render(who=who)
            assert said == jinjas_own.from_string(source).render(who=who)
            assert said == app.jinja_env.from_string(source).render(who=who)


def test_a_text_of_a_template_follows_the_language_within_one_request(app: Flask) -> None:
    def say() -> str:
        return render_template_string("{{ _('Balance') }} {{ _(later) }}", later=lazy_gettext("Balance"))

    with app.test_request_context("/", headers={"Accept-Language": "de"}):
        german = say()
        with use_locale("ja"):
            japanese = say()
        assert say() == german
        refresh()
        assert say() == german
    assert len({german, japanese, "Balance Balance"}) == 3


def test_a_percent_sign_alone_fails_each_time_and_leaves_nothing_behind() -> None:
    catalog = Texts()
    for _ in range(2):
        with pytest.raises(ValueError, match="unsupported format"):
            catalog.marked("100 %, of it")


def test_what_is_kept_of_texts_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(texts, "_MOST_MARKED", 10)
    catalog = Texts()
    assert [catalog.marked(f"text {number}") for number in range(30)] == [f"text {number}" for number in range(30)]
    kept = catalog.marked.__self__  # type: ignore[attr-defined]
    assert len(kept) == 10


def test_outside_of_an_application_there_is_english() -> None:
    assert not current_app
    assert messages.get_translations().gettext("Balance") == gettext("Balance") == "Balance"
