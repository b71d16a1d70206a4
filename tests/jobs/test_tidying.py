"""What is too old to be of use is dropped, a chunk at a time, and nothing else."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from flask import Flask
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from jobs import tidy_api_answers, tidy_sessions
from webapp import clock
from webapp.api.remembered import ApiAnswer
from webapp.database import unit_of_work
from webapp.people import sessions
from webapp.people.sessions import SessionRow
from webapp.people.sign_up import sign_up

PASSWORD = "hazel-otter-cobalt-7"


def answers(app: Flask, resource: str) -> set[str]:
    with app.app_context(), unit_of_work() as session:
        return set(session.scalars(select(ApiAnswer.idempotency_key).where(ApiAnswer.resource == resource)))


def test_answers_of_the_api_are_kept_for_thirty_days(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tidy_api_answers, "CHUNK", 2)
    resource = f"account:{uuid4().hex}"
    with app.app_context(), unit_of_work() as session:
        for key, days in (("a", 29), ("b", 31), ("c", 32), ("d", 33), ("e", 400), ("f", 31), ("g", 0)):
            created_at = clock.now() - timedelta(days=days)
            row = ApiAnswer(resource=resource, idempotency_key=key, fingerprint=b"", created_at=created_at)
            session.add(row)
    with app.app_context():
        tidy_api_answers.tidy_api_answers()
        assert answers(app, resource) == {"a", "g"}
        tidy_api_answers.tidy_api_answers()
    assert answers(app, resource) == {"a", "g"}


def test_only_sessions_that_have_ended_are_dropped(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tidy_sessions, "CHUNK", 2)
    with app.app_context():
        with unit_of_work() as session:
            user_id = sign_up(session, email=f"{uuid4().hex}@example.com", password=PASSWORD).id
            tokens = [sessions.start(session, user_id=user_id, stay=False, ip="", user_agent="") for _ in range(7)]
            rows = {token: find_row(session, token) for token in tokens}
            for token in tokens[:5]:
                rows[token].expires_at = datetime.now(UTC) - timedelta(days=1)
        tidy_sessions.tidy_sessions()
        with unit_of_work() as session:
            left = session.scalar(select(func.count()).where(SessionRow.user_id == user_id))
            assert left == 2
            assert all(sessions.find(session, token=token) for token in tokens[5:])


def find_row(session: Session, token: str) -> SessionRow:
    hashed = sessions.hash_token(token)
    return session.scalars(select(SessionRow).where(SessionRow.token_hash == hashed)).one()
