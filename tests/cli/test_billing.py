"""huntaze billing, against a real ledger."""

import json
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, text

from huntaze.cli.billing_simulation.expected import Expected
from huntaze.cli.billing_simulation.run import START, Found, Simulation
from huntaze.models.database import Sessions
from huntaze.models.users import User
from huntaze.pipelines.billing.periods import Cycle, Period, Unit
from tests.cli.conftest import Run
from tests.models.billing_kit import day, invoices, make_plan, subscribe

BEGIN = day(2025, 1, 31)


def test_run_bills_what_is_due_and_says_who_is_held(run: Run, sessions: Sessions, creator: User) -> None:
    soon = subscribe(sessions, creator, BEGIN)
    late = subscribe(sessions, creator, day(2024, 6, 1))
    facts = json.loads(run("billing", "run", "--slot", "2025-02-01", "--json").stdout)
    assert (facts["due"], facts["invoices"], facts["held"]) == (2, 1, [str(late.id)])
    again = run("billing", "run", "--slot", "2025-02-01")
    assert again.exit_code == 0
    assert "invoices  0" in again.stdout
    assert len(invoices(sessions, soon.id)) == 1


def test_held_names_who_waits_and_release_lets_them_go(run: Run, sessions: Sessions, creator: User) -> None:
    late = subscribe(sessions, creator, day(2024, 6, 1))
    first = run("billing", "run", "--slot", "2025-02-01")
    assert (first.exit_code, first.stderr) == (1, "Some wait for a person: see huntaze billing held.\n")
    (told,) = json.loads(run("billing", "held", "--json").stdout)
    assert (told["id"], told["code"]) == (str(late.id), "billing.too_many_periods")
    assert str(late.id) in run("billing", "held").stdout
    assert run("billing", "release", late.id, "--until", "2025-02-01").exit_code == 0
    assert json.loads(run("billing", "run", "--slot", "2025-02-01", "--json").stdout)["invoices"] == 8
    assert run("billing", "held").stdout == "none is held\n"


def test_preview_shows_and_keeps_nothing(run: Run, sessions: Sessions, creator: User) -> None:
    with sessions.begin() as session:
        make_plan(session, 5000, code="team")
    one = subscribe(sessions, creator, BEGIN)
    run("billing", "run", "--slot", "2025-02-01")
    shown = run("billing", "preview", one.id, "--plan", "team", "--slot", "2025-02-14T09:00Z")
    assert shown.exit_code == 0, shown.stderr
    assert shown.stdout.splitlines()[-1].split() == ["due", "15.00", "EUR"]
    draft = json.loads(run("billing", "preview", one.id, "--slot", "2025-02-14", "--json").stdout)
    assert draft["due_minor"] == 2000, "the next one, without a change"
    assert len(invoices(sessions)) == 1
    unknown = run("billing", "preview", one.id, "--plan", "nobody")
    assert (unknown.exit_code, unknown.stderr) == (2, "--plan nobody: there is no plan with this code on sale.\n")
    missing = run("billing", "preview", uuid.uuid4())
    assert (missing.exit_code, missing.stderr) == (1, "There is no subscription with this id.\n")


def test_audit_is_clean_or_names_the_difference(run: Run, sessions: Sessions, creator: User) -> None:
    subscribe(sessions, creator, BEGIN)
    run("billing", "run", "--slot", "2025-02-01")
    clean = run("billing", "audit")
    assert (clean.exit_code, "no differences" in clean.stdout) == (0, True)
    with sessions.begin() as session:
        session.execute(text("UPDATE receivables SET open_minor = open_minor - 1"))
    broken = run("billing", "audit", "--json")
    (difference,) = json.loads(broken.stdout)["differences"]
    assert (broken.exit_code, difference["expected"], difference["found"]) == (1, 2000, 1999)


def lived(engine: Engine, sabotage: str = "", on: int = 12) -> Found:
    """A month of twelve creators, with a statement of somebody else's on one day."""

    def told(number: int) -> None:
        if sabotage and number == on:
            with engine.begin() as connection:
                connection.execute(text(sabotage))

    return Simulation(engine, months=1, creators=12, seed=5).run(told)


def test_a_simulated_life_is_clean(engine: Engine) -> None:
    found = lived(engine)
    assert found.clean, found.facts()
    assert found.invoices > 10
    assert found.days == 30


@pytest.mark.parametrize(
    ("sabotage", "notices"),
    [
        (
            "UPDATE subscriptions SET next_billing_at = next_billing_at + interval '1 hour' WHERE status = 'active'",
            "missing_periods",
        ),
        ("UPDATE invoice_counters SET last = last + 1 WHERE series = 'INV'", "gaps"),
        (
            "UPDATE receivables SET open_minor = open_minor - 1 WHERE open_minor > 1",
            "ledger_difference_minor",
        ),
        (
            "UPDATE usage_records SET quantity = quantity + 1 WHERE invoice_id IS NOT NULL",
            "usage_mismatches",
        ),
    ],
)
def test_a_simulation_notices(engine: Engine, sabotage: str, notices: str) -> None:
    found = lived(engine, sabotage, on=25 if notices == "usage_mismatches" else 12)
    assert getattr(found, notices) > 0
    assert not found.clean


def test_what_is_expected_follows_what_was_asked() -> None:
    start = datetime(2025, 1, 31, tzinfo=UTC)
    life = Expected(Cycle(start), start)
    life.advance(start + timedelta(days=40))
    life.change(day(2025, 3, 10), now=True, unit=Unit.YEAR, count=1)
    assert life.take() == [
        Period(start, day(2025, 2, 28, 0)),
        Period(day(2025, 2, 28, 0), day(2025, 3, 31, 0)),
        Period(day(2025, 3, 10), day(2026, 3, 10)),
    ]
    life.pause(day(2025, 4, 1))
    life.advance(day(2027, 1, 1))
    assert life.take() == []
    life.resume(day(2027, 1, 1))
    life.cancel(day(2027, 1, 5), now=False)
    life.advance(day(2029, 1, 1))
    assert life.take() == [Period(day(2027, 1, 1), day(2027, 3, 10)), Period(day(2027, 3, 10), day(2027, 3, 10))]
    assert life.ended
    assert day(2025, 1, 31, 0) == START.replace(year=2025)
