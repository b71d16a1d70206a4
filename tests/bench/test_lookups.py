"""What is said of lookups is what the page did."""

from flask import Flask, render_template_string
from flask_babel import gettext

from bench.lookups import Looked, look_up, noted_lookups, table, verdict
from webapp.i18n import content


def test_each_lookup_is_noted_and_made_again(app: Flask) -> None:
    with app.test_request_context("/", headers={"Accept-Language": "de"}):
        with noted_lookups() as noted:
            said = [gettext("Log in"), content.translate("package", "starter", "Starter")]
            said.append(render_template_string("{{ _('Balance') }}"))
        assert [args[-1] for _find, _called, args in noted] == ["Log in", "Starter", "Balance"]
        assert said == [called(find())(*args) for find, called, args in noted]
        look_up(noted)
    assert len(noted) == 3


def test_a_page_is_judged_by_all_languages_together() -> None:
    looked = [Looked("/a", "de", 7, 10.0, 0.2), Looked("/a", "ja", 7, 10.0, 0.5), Looked("/b", "de", 1, 10.0, 0.1)]
    assert "| `/a` | 7 | 10.0 | 0.35 | 3.5% |" in table(looked)
    assert verdict(looked).endswith("not by /a.")
