"""Why work that is charged for did not start, and how a page or a program is told."""

import math
from collections.abc import Callable
from datetime import datetime
from functools import partial

from flask import Flask, Response, current_app, make_response, render_template, request
from flask_babel import gettext as _

from webapp import clock, ledger
from webapp.api.problems import Problem, in_callers_language, request_id, respond, title_of
from webapp.api.refusals import problem_of_refusal
from webapp.config import Settings
from webapp.layout.back import here

HTML = "text/html"
JSON = ("application/json", "application/problem+json")


class ChargeRefused(Exception):
    """The work did not start and nothing was charged."""

    def __init__(self, tell: Callable[[], Problem]) -> None:
        self._tell = tell
        super().__init__(str(tell()))

    @property
    def problem(self) -> Problem:
        """What the API would have answered, in the current language."""
        return self._tell()


class OutOfCredits(ChargeRefused):
    """`required` credits are needed and `available` are there; `buy_url` is where to get more."""

    def __init__(self, refusal: ledger.InsufficientCredits) -> None:
        settings: Settings = current_app.config["SETTINGS"]
        self.required = refusal.required
        self.available = refusal.available
        self.buy_url = f"{settings.base_url}/pricing"
        super().__init__(partial(problem_of_refusal, refusal))

    @property
    def missing(self) -> int:
        return self.required - self.available


class AlreadyRunning(ChargeRefused):
    """Somebody does this very work now, or died of it: the hold is open until `until`."""

    def __init__(self, *, until: datetime) -> None:
        self.until = until
        super().__init__(self._problem)

    def _problem(self) -> Problem:
        seconds = max(1, math.ceil((self.until - clock.now()).total_seconds()))
        detail = _("This very work has begun already. Try again when it has ended.")
        return Problem(409, "in_progress", detail, headers={"Retry-After": str(seconds)})


class AlreadyCharged(ChargeRefused):
    """The work was done and charged before, under the same key: `entry` is the id of the charge."""

    def __init__(self, *, entry: str) -> None:
        self.entry = entry
        super().__init__(self._problem)

    def _problem(self) -> Problem:
        detail = _("This was done before, and is not charged a second time.")
        return Problem(409, "already_charged", detail, entry=self.entry)


def register(app: Flask) -> None:
    """Answer what a view's charge was refused with."""
    app.register_error_handler(ChargeRefused, show_refusal)


def show_refusal(refusal: ChargeRefused) -> Response:
    """A page for who asks for HTML, a fragment for htmx, and problem+json for all others."""
    if not _wants_html():
        with in_callers_language():
            response = respond(refusal.problem)
    else:
        response = make_response(_html_of(refusal), refusal.problem.status)
        response.headers["Cache-Control"] = "no-store"
        response.headers.extend(refusal.problem.headers)
    response.vary.add("Accept")
    response.vary.add("HX-Request")
    return response


def _wants_html() -> bool:
    accepted = request.accept_mimetypes
    return "HX-Request" in request.headers or accepted[HTML] > max(accepted[one] for one in JSON)


def _html_of(refusal: ChargeRefused) -> str:
    problem = refusal.problem
    words = {"status": problem.status, "title": title_of(problem), "text": problem.detail, "request_id": request_id()}
    fragment = "HX-Request" in request.headers
    if isinstance(refusal, OutOfCredits):
        template = "api/_out_of_credits.html" if fragment else "api/out_of_credits.html"
        return render_template(template, refusal=refusal, here=here(), **words)
    return render_template("errors/_toast.html" if fragment else "errors/error.html", retry=False, **words)
