"""Random histories, played on the model and on PostgreSQL side by side: after every step they agree."""

from collections.abc import Callable

from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test
from sqlalchemy import Engine

from tests.ledger.both import Effects
from tests.ledger.histories import Histories


def test_the_model_and_postgresql_agree_on_every_history(clocked_engine: Engine) -> None:
    effects = Effects()
    attributes = {"engine": clocked_engine, "effects": effects}
    machine: Callable[[], RuleBasedStateMachine] = type("OnPostgreSQL", (Histories,), attributes)
    run_state_machine_as_test(machine)
    print(effects.table())
    assert effects.without_effect() == [], "nothing came of these, however often they were tried"
