"""What is said of lookups is what the page did."""

from flask import Flask
from flask_babel import gettext

from bench.lookups import look_up, noted_lookups
from webapp.i18n import content


def test_each_lookup_is_noted_and_made_again(app: Flask) -> None:
    with app.test_request_context("/", headers={"Accept-Language": "de"}):
        with noted_lookups() as noted:
            said = [gettext("Log in"), content.translate("package", "starter", "Starter")]
        assert [args[-1] for _find, _name, args in noted] == ["Log in", "Starter"]
        assert said == [getattr(find(), name)(*args) for find, name, args in noted]
        look_up(noted)
    assert len(noted) == 2
