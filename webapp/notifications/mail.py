"""Mail: by SMTP to where MAIL_URL says, or as one .eml file each in DATA_DIR/mail/."""

import os
import secrets
import smtplib
import ssl
from email.errors import MessageError
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, formataddr, make_msgid, parseaddr
from pathlib import Path
from unicodedata import category
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

import structlog

from webapp import clock
from webapp.config import Settings

log = structlog.get_logger()

TIMEOUT_SECONDS = 15
SMTP_POLICY = SMTP.clone(max_line_length=78)


class BadMail(Exception):
    """The mail cannot be written as a message, such as an address with a line end in it."""


class MailNotSent(Exception):
    """The mail server was away or refused; trying again later may help."""


def send(
    settings: Settings,
    *,
    to: str,
    subject: str,
    text: str,
    html: str | None = None,
    locale: str = "en",
    unsubscribe: str | None = None,
) -> None:
    """The mail is accepted by the server, or lies in DATA_DIR/mail/ when no MAIL_URL is set.

    `unsubscribe` is the address that stops mails of its kind by a POST (RFC 8058).

    Raises BadMail, and nothing was sent then; MailNotSent when the server did not take it.
    """
    message = compose(settings, to=to, subject=subject, text=text, html=html, locale=locale)
    if unsubscribe is not None:
        message["List-Unsubscribe"] = f"<{unsubscribe}>"
        message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    if settings.mail_url is None:
        _write(message, folder=settings.data_dir / "mail")
    else:
        _submit(message, url=urlsplit(settings.mail_url))
    log.info("mail_sent", message_id=message["Message-ID"])


def compose(settings: Settings, *, to: str, subject: str, text: str, html: str | None, locale: str) -> EmailMessage:
    """The message, with headers that nothing in `to` or `subject` can add to. Raises BadMail."""
    message = EmailMessage(policy=SMTP_POLICY)
    try:
        message["From"] = _sender(settings.mail_from)
        message["To"] = _refuse_line_ends(to)
        message["Subject"] = _refuse_line_ends(subject)
    except (ValueError, MessageError, IndexError) as error:
        raise BadMail(str(error)) from None
    message["Date"] = format_datetime(clock.now())
    message["Message-ID"] = make_msgid(domain=_domain(settings.mail_from))
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: out-of-office replies stay out
    cte = "8bit" if settings.mail_url is None else None  # files are read by people, with any editor
    message.set_content(text, cte=cte)
    if html is not None:
        message.add_alternative(html, subtype="html", cte=cte)
    message["Content-Language"] = locale
    return message


# Controls, and what Unicode ends lines and paragraphs with; the narrow spaces of French numbers are none of them.
_ENDS = {"Cc", "Zl", "Zp", "Cs"}


def _refuse_line_ends(value: str) -> str:
    if any(category(character) in _ENDS for character in value):
        raise ValueError("control characters in a header")
    return value


def _sender(mail_from: str) -> str:
    name, address = parseaddr(_refuse_line_ends(mail_from))
    return formataddr((name, address)) if name else address


def _domain(mail_from: str) -> str:
    return parseaddr(mail_from)[1].rpartition("@")[2] or "localhost"


def _write(message: EmailMessage, *, folder: Path) -> None:
    """One file, readable by its owner only, whole or not there; its name sorts by time."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    name = f"{clock.now():%Y%m%dT%H%M%S.%f}-{secrets.token_hex(4)}.eml"
    partial = folder / f".{name}.partial"
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(message.as_bytes())
    partial.rename(folder / name)


def _submit(message: EmailMessage, *, url: SplitResult) -> None:
    """Hand the message to the server of `url`.

    `smtps://` is TLS from the start; `smtp://` turns to TLS when the server offers it, and must with `?tls=always`
    or a password, which never travels in clear.
    """
    context = ssl.create_default_context()
    host, port = url.hostname or "localhost", url.port
    try:
        with (
            smtplib.SMTP_SSL(host, port or 465, timeout=TIMEOUT_SECONDS, context=context)
            if url.scheme == "smtps"
            else smtplib.SMTP(host, port or 587, timeout=TIMEOUT_SECONDS)
        ) as server:
            server.ehlo()
            if url.scheme == "smtp" and (url.password or _tls_always(url) or server.has_extn("starttls")):
                server.starttls(context=context)
            if url.username:
                server.login(unquote(url.username), unquote(url.password or ""))
            server.send_message(message)
    except (smtplib.SMTPException, OSError) as error:
        raise MailNotSent(type(error).__name__ + ": " + str(error)[:300]) from error


def _tls_always(url: SplitResult) -> bool:
    return parse_qs(url.query).get("tls") == ["always"]
