"""GET /api/docs: everything that the OpenAPI document says, without a script."""

import re

import pytest
from flask import Flask
from flask.testing import FlaskClient

from webapp.api.docs_page import read_docs


def test_the_page_tells_every_call_status_and_member_of_the_document(app: Flask, client: FlaskClient) -> None:
    answer = client.get("/api/docs")
    assert (answer.status_code, answer.mimetype) == (200, "text/html")
    spec = client.get("/api/v1/openapi.json").json
    always = answer.text.split('id="h-always"')[1].split("</section>")[0]
    for path, operations in spec["paths"].items():
        for method, operation in operations.items():
            section = answer.text.split(f'<section class="sec" id="{operation["operationId"]}"')[1].split("</section>")[
                0
            ]
            assert f"<code>{method.upper()} {path}</code>" in section
            for status in operation["responses"]:
                assert f'<th scope="row">{status}</th>' in section + always
            for parameter in operation["parameters"]:
                assert f"<code>{parameter['name']}</code>" in section
    for name, schema in spec["components"]["schemas"].items():
        section = answer.text.split(f'<section class="sec" id="{name}"')[1].split("</section>")[0]
        for member in schema["properties"]:
            assert f"<code>{member}</code>" in section, (name, member)


def test_every_link_to_an_object_or_a_call_leads_there(client: FlaskClient) -> None:
    html = client.get("/api/docs").text
    ids = re.findall(r'\sid="([^"]+)"', html)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]+)"', html)) <= set(ids)


@pytest.mark.parametrize(
    ("language", "start"), [("de", '<html lang="de" dir="ltr"'), ("ar", '<html lang="ar" dir="rtl"')]
)
def test_the_frame_speaks_the_readers_language_and_says_which_words_are_english(
    client: FlaskClient, language: str, start: str
) -> None:
    html = client.get("/api/docs", headers={"Accept-Language": language}).text
    assert start in html
    assert "Calls" not in html
    assert '<tbody lang="en" dir="ltr">' in html


def test_words_of_the_document_are_never_markup() -> None:
    evil = "<script>`<b>`%(x)s{{ 7 }}"
    docs = read_docs(
        {
            "servers": [{"url": "http://localhost"}],
            "paths": {
                "/x": {
                    "get": {
                        "operationId": "x",
                        "summary": evil,
                        "parameters": [{"name": "a", "in": "query", "schema": {"enum": [evil]}, "description": evil}],
                        "responses": {"200": {"description": evil}},
                    }
                }
            },
            "components": {
                "schemas": {"X": {"description": evil, "properties": {"a": {"type": evil, "default": evil}}}}
            },
        }
    )
    call, thing = docs.calls[0], docs.things[0]
    for shown in (call.summary, call.parameters[0].type, call.parameters[0].about, thing.about, thing.fields[0].type):
        assert "<script>" not in shown
        assert "&lt;script&gt;" in shown
