"""What every call of the API goes through, in this order: key, rate, scope, idempotency key, query, body, work."""

from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar

from flask import Blueprint, Response, request
from flask_babel import gettext as _
from pydantic import BaseModel
from sqlalchemy.orm import Session
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from webapp import ledger
from webapp.api.authentication import authenticate, kept_key, require_scope
from webapp.api.fields import EXTERNAL_ID
from webapp.api.kept import kept
from webapp.api.keys import KnownKey
from webapp.api.problems import Problem, in_callers_language, invalid, problem_for_status, respond
from webapp.api.query import Parameter, read_query
from webapp.api.rate_limit import rate_limit, tighter
from webapp.api.refusals import problem_of_refusal
from webapp.api.strict_json import read_object
from webapp.api.unit import attempt, one_lookup, one_statement
from webapp.api.validation import validated

Body = TypeVar("Body", bound=BaseModel)
Unit = Callable[[], AbstractContextManager[Session]]

MOST_BODY_BYTES = 1024 * 1024
LONGEST_KEY = 255
MOST_ATTEMPTS = 5


@dataclass(frozen=True, kw_only=True)
class Call(Generic[Body]):
    """An authenticated and well-formed request. `idempotency_key` is empty for what changes nothing.

    `relied_on` is what the statement that writes must look at again, for calls that `keep`.
    """

    key: KnownKey
    relied_on: ledger.Condition | None = None
    body: Body
    query: dict[str, Any]
    idempotency_key: str

    @property
    def actor(self) -> str:
        """How the ledger names who wrote an entry."""
        return f"api:{self.key.prefix}"


@dataclass(frozen=True, kw_only=True)
class Reply:
    """`body` is sent with `status`; `replayed` says that an earlier request had done the work.

    A read's answer is recognised by its `etag`, or else by its content; a weak one changes with what matters in it.
    """

    body: BaseModel | str
    status: int = 200
    replayed: bool = False
    headers: dict[str, str] = field(default_factory=dict)
    etag: str | None = None
    etag_is_weak: bool = False


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """One call of the API: what it takes, who may make it, and what does it."""

    method: str
    path: str
    work: Callable[..., Reply]
    answer: type[BaseModel]
    status: int
    scopes: tuple[str, ...]
    body: type[BaseModel] | None
    body_optional: bool
    query: tuple[Parameter, ...]
    unit: Unit
    is_write: bool
    keeps: bool
    problems: tuple[int, ...]
    read_body: Callable[[bytes], dict[str, Any]]
    most_body_bytes: int
    parts: tuple[type[BaseModel], ...]


def endpoint(
    endpoints: list[Endpoint],
    method: str,
    path: str,
    *,
    answer: type[BaseModel],
    status: int = 200,
    scopes: tuple[str, ...] = (),
    body: type[BaseModel] | None = None,
    body_optional: bool = False,
    query: tuple[Parameter, ...] = (),
    unit: Unit = one_statement,
    is_write: bool | None = None,
    keeps: bool = False,
    problems: tuple[int, ...] = (),
    read_body: Callable[[bytes], dict[str, Any]] = read_object,
    most_body_bytes: int = MOST_BODY_BYTES,
    parts: tuple[type[BaseModel], ...] = (),
) -> Callable[[Callable[..., Reply]], Callable[..., Reply]]:
    """Add the decorated function to `endpoints`. Any of `scopes` suffices; writes need an Idempotency-Key.

    One that `keeps` writes by one statement, which has `call.relied_on` as its condition, and raises ConditionFailed.
    `parts` are models that the body or the answer is described with, besides those that it is read or made with.
    """

    def add(work: Callable[..., Reply]) -> Callable[..., Reply]:
        endpoints.append(
            Endpoint(
                method=method,
                path=path,
                work=work,
                answer=answer,
                status=status,
                scopes=scopes,
                body=body,
                body_optional=body_optional,
                query=query,
                unit=unit,
                is_write=method != "GET" if is_write is None else is_write,
                keeps=keeps,
                problems=problems,
                read_body=read_body,
                most_body_bytes=most_body_bytes,
                parts=parts,
            )
        )
        return work

    return add


def add_to(blueprint: Blueprint, one: Endpoint) -> None:
    """Serve the endpoint."""

    def view(**path: str) -> Response:
        limits: dict[str, str] = {}
        with in_callers_language():
            try:
                response = _serve(one, path, limits)
            except Problem as problem:
                response = respond(problem)
            except ledger.LedgerRefusal as refusal:
                response = respond(problem_of_refusal(refusal))
            except HTTPException as error:
                response = problem_for_status(error.code or 500, error)
        for name, value in limits.items():
            response.headers.setdefault(name, value)  # a refusal may tell of another limit
        return response

    blueprint.add_url_rule(one.path, one.work.__name__, view, methods=[one.method])


def _serve(one: Endpoint, path: dict[str, str], limits: dict[str, str]) -> Response:
    """The answer; `limits` learns of the key's rate limit on the way, for whatever is answered in the end."""
    authorization = request.headers.get("Authorization", "")
    key = kept_key(authorization=authorization, address=request.remote_addr) if one.keeps else None
    if key is None:
        return _answer(one, path, limits, key=attempt(_authenticated))
    try:
        return _answer(one, path, limits, key=key, relied_on=key.unchanged)
    except (Problem, ledger.LedgerRefusal, HTTPException):
        attempt(_authenticated)  # whose key is not valid any more learns that, and nothing else
        raise


def _answer(
    one: Endpoint,
    path: dict[str, str],
    limits: dict[str, str],
    *,
    key: KnownKey,
    relied_on: ledger.Condition | None = None,
) -> Response:
    limits.update(counted(request.environ, "key", lambda: rate_limit().take(key=key)))
    require_scope(key, scopes=one.scopes)
    call: Call[Any] = Call(
        key=key,
        relied_on=relied_on,
        idempotency_key=idempotency_key_in(request.headers.get("Idempotency-Key", "")) if one.is_write else "",
        query=read_query(one.query),
        body=_body(one),
    )

    _count(call, path, limits)

    def work() -> Reply:
        if error := request.environ.pop(_FAILED, None):
            raise error
        with one.unit() as session:
            return one.work(session, call, **path)

    for _attempt in range(MOST_ATTEMPTS):
        try:
            return _response(attempt(work))
        except ledger.ConditionFailed:  # what was kept is old; another thread may even keep it once more
            kept().forget()
            call = replace(call, key=attempt(_authenticated), relied_on=None)
            require_scope(call.key, scopes=one.scopes)
    detail = _("Another request is still working on this. Try again with the same key.")
    raise Problem(409, "in_progress", detail, headers={"Retry-After": "1"})


def _count(call: Call[Any], path: dict[str, str], limits: dict[str, str]) -> None:
    """The request is counted for the account that it is about, and a batch for as many requests as it has items.

    A batch counts for its accounts item by item, where those are charged. Raises 429.
    """
    items = getattr(call.body, "items", None)
    if items is not None:
        if len(items) > 1:
            limits.update(rate_limit().take(key=call.key, count=len(items) - 1))
        return
    account = _account_of(call, path)
    if EXTERNAL_ID.fullmatch(account):
        of_account = counted(request.environ, "account", lambda: rate_limit().take_of_account(account))
        limits.update(tighter(limits, of_account))


_FAILED = "tallystick.failed"


def hand_over(environ: dict[str, Any], error: Exception) -> None:
    """The first attempt to answer this request was made in front of Flask (front.py), and met `error`."""
    environ[_FAILED] = error


def counted(environ: dict[str, Any], whose: str, take: Callable[[], dict[str, str]]) -> dict[str, str]:
    """The headers that `take` returned for this request: it is counted once, in front of Flask or here."""
    name = f"tallystick.counted.{whose}"
    if name not in environ:
        environ[name] = take()
    found: dict[str, str] = environ[name]
    return found


def _account_of(call: Call[Any], path: dict[str, str]) -> str:
    """The external id that the request names, or empty; an entry and a hold begin with their account's."""
    if "external_id" in path:
        return path["external_id"]
    thing = path.get("entry") or path.get("hold")
    return thing.rpartition(":")[0] if thing else getattr(call.body, "account", "")


def _authenticated() -> KnownKey:
    with one_lookup() as connection:
        return authenticate(connection)


def _response(reply: Reply) -> Response:
    text = reply.body if isinstance(reply.body, str) else reply.body.model_dump_json()
    response = Response(text, status=reply.status, mimetype="application/json")
    response.headers["Cache-Control"] = "no-store"
    if reply.replayed:
        response.headers["Idempotent-Replayed"] = "true"
    response.headers.extend(reply.headers)
    if request.method in ("GET", "HEAD"):
        _let_caller_keep(response, reply)
    return response


def _let_caller_keep(response: Response, reply: Reply) -> None:
    """The caller may keep it and ask whether it still holds (If-None-Match); 304 without a body when it does."""
    response.headers["Cache-Control"] = "private, no-cache"
    response.vary.add("Authorization")
    if reply.etag is None:
        response.add_etag(weak=reply.etag_is_weak)
    else:
        response.set_etag(reply.etag, weak=reply.etag_is_weak)
    response.make_conditional(request)


def idempotency_key_in(header: str) -> str:
    """What the header says, as UTF-8 where it is that. Raises 400 when it is empty, too long or not printable."""
    given = header.strip()
    with suppress(UnicodeError):  # else it is Latin-1, or text already
        given = given.encode("latin-1").decode("utf-8")
    if not given:
        raise invalid(_("Send an Idempotency-Key header that names this request."), field="Idempotency-Key")
    if len(given) > LONGEST_KEY or not given.isprintable():
        detail = _("The Idempotency-Key header must be 1 to 255 printable characters.")
        raise invalid(detail, field="Idempotency-Key")
    return given


def _body(one: Endpoint) -> BaseModel | None:
    request.max_content_length = one.most_body_bytes
    raw = request.get_data(cache=False)
    if request.content_length is None and len(raw) >= one.most_body_bytes:
        raise RequestEntityTooLarge()  # of a body in chunks, Werkzeug silently keeps that many bytes
    if one.body is None:
        if raw:
            raise invalid(_("This call takes no body."))
        return None
    if not raw and one.body_optional:
        return validated(one.body, {})
    charset = request.mimetype_params.get("charset", "utf-8").lower()
    encoding = request.headers.get("Content-Encoding", "identity").lower()
    if request.mimetype != "application/json" or charset not in ("utf-8", "utf8") or encoding != "identity":
        detail = _("Send the body as application/json in UTF-8, not compressed.")
        raise Problem(415, "unsupported_media_type", detail, headers={"Accept": "application/json"})
    return validated(one.body, one.read_body(raw))
