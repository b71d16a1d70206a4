"""Flask's extensions, made once and bound to the application in `create_app`."""

from flask import request
from flask_babel import Babel
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address
from flask_login import LoginManager
from flask_sqlalchemy import SQLAlchemy
from flask_wtf import CSRFProtect
from htmx_flask import Htmx
from sqlalchemy import MetaData
from sqlalchemy.orm import DeclarativeBase

# Constraints and indexes are named by this convention everywhere, so that a migration can name them.
NAMING = {
    "ix": "%(table_name)s_%(column_0_N_name)s_idx",
    "uq": "%(table_name)s_%(column_0_N_name)s_key",
    "ck": "%(table_name)s_%(constraint_name)s_check",
    "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
    "pk": "%(table_name)s_pkey",
}


class Base(DeclarativeBase):
    """The base of the application's own tables (the ledger's are SQL and belong to nobody else)."""

    metadata = MetaData(naming_convention=NAMING)


class PageLimiter(Limiter):
    """Limits forms by who asks. The API counts by key itself, and is spared the search for limits of its views."""

    def _check_request_limit(self, callable_name: str | None = None, in_middleware: bool = True) -> None:
        if request.blueprint != "api":
            super()._check_request_limit(callable_name, in_middleware)


db = SQLAlchemy(model_class=Base, disable_autonaming=True)
login_manager = LoginManager()
babel = Babel()
htmx = Htmx()
csrf = CSRFProtect()
limiter = PageLimiter(key_func=get_remote_address, headers_enabled=True)
