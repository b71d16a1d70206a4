"""Mail, by file and by SMTP."""

import email
import email.policy
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.notifications.mail_server import MailServer, running_mail_server
from webapp.config import Settings
from webapp.notifications.mail import BadMail, MailNotSent, send


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings.from_environment({"DATA_DIR": str(tmp_path)})


@pytest.fixture
def mail_server() -> Iterator[MailServer]:
    with running_mail_server() as server:
        yield server


def files(settings: Settings) -> list[Path]:
    return sorted((settings.data_dir / "mail").glob("*"))


def test_without_a_server_each_mail_is_a_file_of_its_own_for_its_owner_only(settings: Settings) -> None:
    for number in range(3):
        send(settings, to="ada@example.com", subject=f"Grüße {number}", text="Hallo\n\nساعة")
    assert [path.suffix for path in files(settings)] == [".eml"] * 3
    assert {path.stat().st_mode & 0o777 for path in files(settings)} == {0o600}
    message = email.message_from_bytes(files(settings)[0].read_bytes(), policy=email.policy.default)
    assert message["To"] == "ada@example.com"
    assert message["Subject"] == "Grüße 0"
    assert message["From"] == "Tallystick <credits@example.com>"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message.get_content().split() == ["Hallo", "ساعة"]
    assert "ساعة".encode() in files(settings)[0].read_bytes()


def test_text_and_html_are_two_forms_of_one_mail(settings: Settings) -> None:
    send(settings, to="ada@example.com", subject="x", text="plain", html="<p>rich</p>", locale="de")
    message = email.message_from_bytes(files(settings)[0].read_bytes(), policy=email.policy.default)
    assert message.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]
    assert message["Content-Language"] == "de"


@pytest.mark.parametrize(
    ("to", "subject"),
    [
        ("ada@example.com\r\nBcc: eve@example.com", "x"),
        ("ada@example.com\nBcc: eve@example.com", "x"),
        ("ada@example.com", "x\r\nBcc: eve@example.com"),
        ("ada@example.com", "x\n\nbody"),
        ("ada@example.com", "x\u2028Bcc: eve@example.com"),
        ("ada@example.com", "x\x00y"),
        ("ada@example.com\x00", "x"),
    ],
)
def test_nothing_is_smuggled_into_the_headers(settings: Settings, to: str, subject: str) -> None:
    with pytest.raises(BadMail):
        send(settings, to=to, subject=subject, text="x")
    assert files(settings) == []


def test_a_server_gets_the_mail(settings: Settings, mail_server: MailServer) -> None:
    there = replace(settings, mail_url=f"smtp://127.0.0.1:{mail_server.port}")
    send(there, to="jörg@example.com", subject="Grüße", text="Hallo")
    assert len(mail_server.mails) == 1
    assert "jörg@example.com" in mail_server.recipients[0]
    assert files(settings) == []


def test_a_refusing_server_and_one_that_is_away_are_told(settings: Settings, mail_server: MailServer) -> None:
    there = replace(settings, mail_url=f"smtp://127.0.0.1:{mail_server.port}")
    mail_server.refuse = "550 no such person"
    with pytest.raises(MailNotSent):
        send(there, to="ada@example.com", subject="x", text="x")
    with pytest.raises(MailNotSent):
        send(replace(settings, mail_url="smtp://127.0.0.1:1"), to="ada@example.com", subject="x", text="x")


def test_a_password_never_travels_in_clear(settings: Settings, mail_server: MailServer) -> None:
    there = replace(settings, mail_url=f"smtp://me:secret@127.0.0.1:{mail_server.port}")
    with pytest.raises(MailNotSent) as refusal:
        send(there, to="ada@example.com", subject="x", text="x")
    assert mail_server.logins == 0
    assert "secret" not in str(refusal.value)
