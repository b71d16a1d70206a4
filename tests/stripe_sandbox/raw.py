"""Raw requests to the sandbox, beside the SDK."""

from typing import Any

import requests

from tests.stripe_sandbox.conftest import KEY, Sandbox


def call(sandbox: Sandbox, path: str, body: str | None = None, **headers: str) -> requests.Response:
    """One raw request: a GET, or a POST of this form body."""
    sent = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/x-www-form-urlencoded", **headers}
    method = "GET" if body is None else "POST"
    return requests.request(
        method, sandbox.url + path, data=None if body is None else body.encode(), headers=sent, timeout=10
    )


def error_of(answer: requests.Response) -> dict[str, Any]:
    error: dict[str, Any] = answer.json()["error"]
    assert answer.headers["Request-Id"] in error["request_log_url"]
    return error
