"""Random histories, played on the model and on PostgreSQL side by side: after every step they agree."""

from collections.abc import Callable

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test
from sqlalchemy import Engine

from tests.ledger.both import Effects
from tests.ledger.histories import Histories

# Parts that run at the same time where there are processors for it.
PARTS = 2
REPEATABLE = ["capture", "grant", "place_hold", "refund", "roll_over", "spend", "void"]
WITH_EFFECT = {
    *(f"replay {operation}" for operation in REPEATABLE),
    *(f"reused key, {operation}" for operation in REPEATABLE if operation != "roll_over"),
    *(f"a hold is {state} in the end" for state in ("open", "captured", "voided", "lapsed")),
    *(f"capture {part}" for part in ("all", "less", "more", "much more", "nothing")),
    *("spend", "partial spend", "backdated spend", "backdated partial spend", "refund", "refund of a capture"),
    *("grant", "backdated grant", "roll over", "revoke", "revoke while held", "restore", "freeze", "unfreeze"),
    *("place hold", "void", "expire account", "sweep", "choose spend order", "set overdraft limit"),
    *("spend of nothing", "place hold of nothing", "refund of nothing"),
    *("look", "read history"),
}


@pytest.mark.parametrize("part", range(PARTS))
def test_the_model_and_postgresql_agree_on_every_history(
    clocked_engine: Engine, part: int, record_property: Callable[[str, object], None]
) -> None:
    effects = Effects()
    machine = type("OnPostgreSQL", (Histories,), {"engine": clocked_engine, "effects": effects})
    run_state_machine_as_test(machine, settings=settings(max_examples=settings().max_examples // PARTS))
    record_property("shown at the end", f"Random histories, part {part + 1} of {PARTS}\n{effects.table()}")
    # A short run cannot promise it: some need three steps in a row.
    if settings().max_examples >= 1_000:
        assert sorted(WITH_EFFECT - effects.effective()) == [], "never had an effect"
