"""GET/POST /portal/<token>: from a product's own pages to those of its user's account, without a log-in."""

from flask import Response, make_response, redirect, render_template, request
from flask.typing import ResponseReturnValue
from flask_login import current_user

from webapp.database import unit_of_work
from webapp.i18n.locale import use_tag
from webapp.people import portal_session
from webapp.people.portal_session import LinkUnusable, PortalSession
from webapp.people.signed_in import forget_browser, let_visitor_in
from webapp.people.views import limits, people

# What a product may ask for, and where it is.
PAGES = {
    "credits": "/credits",
    "history": "/credits/history",
    "usage": "/credits/usage",
    "plan": "/plan",
    "pricing": "/pricing",
}


@people.get("/portal/<token>", endpoint="portal")
def portal_page(token: str) -> ResponseReturnValue:
    """A page with one button, which a script presses where nobody else is signed in.

    Programs that follow links before people do, such as mail scanners, must not use the link up.
    """
    try:
        with unit_of_work() as session:
            if _is_inside(token):
                return redirect("/credits", 303)
            link = portal_session.find_link(session, token=token)
            if link.locale:
                use_tag(link.locale)
            return _guarded(render_template("people/portal.html", link=link, other=_somebody_else(link)), 200)
    except LinkUnusable:
        return _gone()


@people.post("/portal/<token>", endpoint="open_portal")
@limits.portal_links
def open_portal(token: str) -> ResponseReturnValue:
    """The link is used up, and this browser is in the account's portal session; 303 to the page asked for."""
    if _is_inside(token):
        return redirect("/credits", 303)
    try:
        with unit_of_work() as session:
            link, session_token = portal_session.open_link(
                session,
                token=token,
                ip=request.remote_addr or "",
                user_agent=request.headers.get("User-Agent", ""),
            )
            page = PAGES[link.page]
            let_visitor_in(session, token=session_token)
    except LinkUnusable:
        return _gone()
    return redirect(page, 303)


def leave_portal() -> ResponseReturnValue:
    """The portal session is over; a page says so and leads back to the product.

    No redirect: the policy of our pages lets a form lead to no other site.
    """
    return_url, return_host = current_user.return_url, current_user.return_host
    with unit_of_work() as session:
        portal_session.end(
            session, account_id=current_user.account_id, portal_session_id=current_user.current_session_id
        )
    forget_browser()
    return _guarded(render_template("people/portal_left.html", return_url=return_url, return_host=return_host), 200)


def _is_inside(token: str) -> bool:
    """Whether this browser is in the session that this very link began."""
    if not (current_user.is_authenticated and current_user.is_visitor):
        return False
    with unit_of_work() as session:
        return portal_session.is_link_of(session, token=token, portal_session_id=current_user.current_session_id)


def _somebody_else(link: PortalSession) -> str | None:
    """Who is signed in in this browser, where that is not the account of the link."""
    if not current_user.is_authenticated or current_user.account_id == link.account_id:
        return None
    shown: str = current_user.name if current_user.is_visitor else current_user.email
    return shown


def _gone() -> Response:
    return _guarded(render_template("people/portal_gone.html"), 410)


def _guarded(page: str, status: int) -> Response:
    """The URL is a secret: it is told to no other site, and no cache keeps it."""
    response = make_response(page, status)
    response.headers["Referrer-Policy"] = "same-origin"
    response.headers["Cache-Control"] = "no-store"
    return response
