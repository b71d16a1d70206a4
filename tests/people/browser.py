"""A person at a browser, for tests: cookies, form tokens, and a network address of their own."""

import re
from collections.abc import Callable
from contextvars import Context
from itertools import count
from typing import Any

from flask import Flask
from werkzeug.test import TestResponse

PASSWORD = "correct horse battery"
_numbers = count(1)


def unique_email(name: str = "person") -> str:
    return f"{name}-{next(_numbers)}@people.example.com"


class Browser:
    """One browser; limits by network do not reach from one to the next."""

    def __init__(self, app: Flask, *, ip: str | None = None) -> None:
        self.client = app.test_client()
        number = next(_numbers)
        self.ip = ip or f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
        self.email = ""

    def get(self, path: str, **kwargs: Any) -> TestResponse:
        return self._apart(self.client.get, path, **kwargs)

    def post(
        self, path: str, data: dict[str, Any] | None = None, *, form: str | None = None, **kw: Any
    ) -> TestResponse:
        """Send the form of the page `form` (by default of `path` itself), with its token."""
        token = self.token(form or path)
        return self.post_raw(path, {**(data or {}), "csrf_token": token}, **kw)

    def post_raw(self, path: str, data: dict[str, Any] | None = None, **kwargs: Any) -> TestResponse:
        """Send it as it is, without a token."""
        return self._apart(self.client.post, path, data=data or {}, **kwargs)

    def _apart(self, send: Callable[..., TestResponse], path: str, **kwargs: Any) -> TestResponse:
        """In a context of its own: inside the test's application context all requests would share one `g`."""
        overrides = {"REMOTE_ADDR": self.ip, **kwargs.pop("environ_overrides", {})}
        return Context().run(send, path, environ_overrides=overrides, **kwargs)

    def token(self, path: str) -> str:
        found = re.search(r'name="csrf_token" value="([^"]+)"', self.get(path).text)
        assert found, f"no form on {path}"
        return found[1]

    @property
    def cookie(self) -> str:
        cookie = self.client.get_cookie("tallystick")
        return cookie.value if cookie else ""

    @cookie.setter
    def cookie(self, value: str) -> None:
        self.client.set_cookie("tallystick", value)

    @property
    def signed_in(self) -> bool:
        return self.get("/settings").status_code == 200

    def sign_up(self, email: str | None = None, password: str = PASSWORD, **fields: Any) -> TestResponse:
        self.email = email or unique_email()
        return self.post("/sign-up", {"email": self.email, "password": password, **fields})

    def log_in(self, email: str, password: str = PASSWORD, **fields: Any) -> TestResponse:
        self.email = email
        return self.post("/log-in", {"email": email, "password": password, **fields})

    def log_out(self) -> TestResponse:
        return self.post("/log-out", form="/settings")
