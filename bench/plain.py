"""What most people write first, in the same stack: look at the balance, take from it, write a line, commit.

It has no lock, no idempotency key, no price, no grants, no expiry, no hash, no limits and no log; two requests at once
overdraw. Served by the same server with the same settings, it is what `POST /api/v1/spends` is compared with.
"""

import hmac
import os
from datetime import UTC, datetime

from flask import Flask, jsonify, request
from flask.typing import ResponseReturnValue
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import BigInteger, DateTime, Identity, MetaData, Text, select
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from webapp.database import ENGINE_OPTIONS, sqlalchemy_url

SECRET = "plain"
SERVED = ("--factory", "bench.plain:create_app")
TABLES = """
CREATE SCHEMA plain;
CREATE TABLE plain.accounts (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, external_id text NOT NULL UNIQUE,
    balance bigint NOT NULL);
CREATE TABLE plain.entries (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, account_id bigint NOT NULL,
    amount bigint NOT NULL, balance_after bigint NOT NULL, description text NOT NULL, created_at timestamptz NOT NULL);
CREATE INDEX ON plain.entries (account_id, id);
INSERT INTO plain.accounts (external_id, balance) SELECT '{prefix}' || n, 1000000 FROM generate_series(1, {accounts}) n;
GRANT USAGE ON SCHEMA plain TO PUBLIC;
GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA plain TO PUBLIC;
"""


class Base(DeclarativeBase):
    metadata = MetaData(schema="plain")


class Account(Base):
    __tablename__ = "accounts"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    external_id: Mapped[str] = mapped_column(Text)
    balance: Mapped[int] = mapped_column(BigInteger)


class Entry(Base):
    __tablename__ = "entries"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    account_id: Mapped[int] = mapped_column(BigInteger)
    amount: Mapped[int] = mapped_column(BigInteger)
    balance_after: Mapped[int] = mapped_column(BigInteger)
    description: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


db = SQLAlchemy(model_class=Base, disable_autonaming=True)


def create_app() -> Flask:
    """The one endpoint, on the database of DATABASE_URL."""
    app = Flask("plain")
    app.config["SQLALCHEMY_DATABASE_URI"] = sqlalchemy_url(os.environ["DATABASE_URL"])
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = ENGINE_OPTIONS
    db.init_app(app)
    app.add_url_rule("/healthz", "healthz", lambda: "ok")
    app.add_url_rule("/api/v1/spends", view_func=create_spend, methods=["POST"])
    return app


def create_spend() -> ResponseReturnValue:
    given = request.headers.get("Authorization", "")
    if not hmac.compare_digest(given.encode(), f"Bearer {SECRET}".encode()):
        return jsonify(error="unauthorized"), 401
    body = request.get_json()
    account = db.session.scalars(select(Account).where(Account.external_id == body["account"])).one_or_none()
    if account is None:
        return jsonify(error="not found"), 404
    if account.balance < body["amount"]:
        return jsonify(error="not enough credits"), 402
    account.balance -= body["amount"]
    entry = Entry(
        account_id=account.id,
        amount=-body["amount"],
        balance_after=account.balance,
        description=body["description"],
        created_at=datetime.now(UTC),
    )
    db.session.add(entry)
    db.session.flush()
    answer = {
        "id": entry.id,
        "account": account.external_id,
        "amount": entry.amount,
        "balance_after": entry.balance_after,
        "description": entry.description,
        "created_at": entry.created_at.isoformat(),
    }
    db.session.commit()
    return jsonify(answer), 201
