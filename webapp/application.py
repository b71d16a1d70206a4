"""The Flask application: a page passes every extension's hooks, a call of the API only those that it has a use for.

CSRF tokens, cookies, log-in and limits by address have no say in the API. Asking each of them costs a spend a fifth.
"""

from collections.abc import Callable
from typing import Any

from apiflask import APIFlask
from flask import Flask, Request, Response, request
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface
from flask.typing import ResponseReturnValue

API_PATH = "/api/v1/"
API_ENDPOINTS = "api."

Hook = Callable[[Response], Response]
Question = Callable[[], ResponseReturnValue | None]


class Sessions(SecureCookieSessionInterface):
    """Cookies of browsers; calls of the API have none, whatever cookie they send."""

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        return None if request.path.startswith(API_PATH) else super().open_session(app, request)


class Application(APIFlask):
    """See above. Nothing here is a coroutine, which Flask would look for at each hook and view."""

    session_interface = Sessions()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._of_every_request: list[Question] = []
        self._of_every_answer: list[Hook] = []

    def before_every_request(self, question: Question) -> None:
        """Like `before_request`, ahead of all others, and for calls of the API, too."""
        self.before_request_funcs.setdefault(None, []).insert(0, question)
        self._of_every_request.append(question)

    def after_every_request(self, hook: Hook) -> None:
        """Like `after_request`, and for calls of the API, too."""
        self.after_request(hook)
        self._of_every_answer.insert(0, hook)  # the last comes first, as with Flask's

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        return func

    def preprocess_request(self) -> Any:
        if not _is_api():
            return super().preprocess_request()
        return next((answer for ask in self._of_every_request if (answer := ask()) is not None), None)

    def process_response(self, response: Response) -> Response:
        if not _is_api():
            return super().process_response(response)
        for hook in self._of_every_answer:
            response = hook(response)
        return response


def _is_api() -> bool:
    return (request.endpoint or "").startswith(API_ENDPOINTS)
