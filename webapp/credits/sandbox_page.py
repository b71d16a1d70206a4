"""GET/POST /sandbox: what time it is in the sandbox, and moving it. There is no such page where money is real."""

from datetime import timedelta

from flask import Flask, redirect, render_template, request
from flask.typing import ResponseReturnValue
from flask_login import login_required
from sqlalchemy import select

from webapp import ledger, outbox
from webapp.database import unit_of_work
from webapp.outbox import OutboxRow

STEPS = (1, 7, 31)


def register(app: Flask) -> None:
    """Add the page in sandbox mode; elsewhere its address is one that nobody serves."""
    if app.config["SANDBOX"]:
        app.add_url_rule("/sandbox", "sandbox", login_required(show_sandbox))
        app.add_url_rule("/sandbox", "move_time", login_required(ask_to_move), methods=["POST"])


def show_sandbox() -> ResponseReturnValue:
    """The clock, and until when it is being moved."""
    with unit_of_work() as session:
        until = session.scalars(
            select(OutboxRow.args["until"].astext)
            .where(OutboxRow.job == "move_time", OutboxRow.done_at.is_(None), OutboxRow.parked_at.is_(None))
            .limit(1)
        ).first()
        now = ledger.now(session)
    return render_template("credits/sandbox.html", now=now, moving=until is not None, steps=STEPS)


def ask_to_move() -> ResponseReturnValue:
    """Time moves by that many days in a moment, one day after the other."""
    days = request.form.get("days", "")
    if days.isdecimal() and len(days) < 3 and int(days) in STEPS:
        with unit_of_work() as session:
            until = (ledger.now(session) + timedelta(days=int(days))).isoformat()
            outbox.put(session, job="move_time", key=f"move-time:{until}", args={"until": until})
    return redirect("/sandbox", 303)
