"""huntaze ai, against a real ledger."""

import json
import uuid

import pytest

from huntaze.cli.ai import dollars
from huntaze.models.database import Sessions
from huntaze.models.users import User
from tests.cli.conftest import Run
from tests.models.ai_calls import called


def test_the_budget_as_a_table_and_as_json(run: Run, sessions: Sessions, creator: User) -> None:
    called(sessions, 850_000_000, creator.id, bound=900_000_000)
    called(sessions, 412, role="reason")
    called(sessions, None, creator.id, bound=1_500_000)
    shown = run("ai", "budget").stdout
    lines = [line.split() for line in shown.splitlines()]
    assert lines[2][:4] == ["total", "$850.00", "$1.50", "$1,000.00"]
    assert lines[2][-2:] == ["80", "%"]
    assert [line[0] for line in lines[3:6]] == ["role:vision", "role:reason", f"creator:{creator.id}"]
    assert lines[-2][:8] == ["reason", "1", "0", "(0", "%)", "0", "0", "$0.000412"]
    assert "total is heading over its limit" in shown
    assert str(creator.id) not in run("ai", "budget", "--creators", 0).stdout
    facts = json.loads(run("ai", "budget", "--json").stdout)
    assert facts["scopes"][0]["settled_micro_usd"] == 850_000_412
    assert facts["scopes"][0]["share_spent"] == pytest.approx(0.85, abs=1e-3)
    assert [(one["role"], one["calls"]) for one in facts["usage"]] == [("reason", 1), ("vision", 1)]
    assert "no calls have ended" in run("ai", "budget", "--month", "2024-02").stdout


def test_limits_are_set_and_taken_away(run: Run, sessions: Sessions, creator: User) -> None:
    assert run("ai", "limit", "2.5").stdout == "total: $2.50 a month\n"
    assert run("ai", "limit", "0", "--role", "reason").stdout == "role:reason: $0.00 a month\n"
    assert (
        json.loads(run("ai", "limit", "$3", "--creator", creator.id, "--json").stdout)["limit_micro_usd"] == 3_000_000
    )
    limits = {
        one["scope"]: one["limit_micro_usd"] for one in json.loads(run("ai", "budget", "--json").stdout)["scopes"]
    }
    assert limits == {"total": 2_500_000, "role:reason": 0, f"creator:{creator.id}": 3_000_000}
    assert run("ai", "limit", "none", "--role", "reason").stdout == "role:reason: no limit\n"
    assert run("ai", "limit", "none").stdout == "total: $1,000.00 a month\n"


@pytest.mark.parametrize("amount", ["x", "nan", "inf", "1e400000000", "0.0000001", "1000000001", "1,000"])
def test_what_is_no_amount(run: Run, sessions: Sessions, amount: str) -> None:
    result = run("ai", "limit", amount)
    assert result.exit_code == 2
    assert f"{amount} is no amount" in result.stderr


def test_what_is_asked_wrongly(run: Run, sessions: Sessions) -> None:
    nobody = uuid.uuid4()
    assert "--role see: there is no such role; there are: generate" in run("ai", "limit", "1", "--role", "see").stderr
    assert "not both" in run("ai", "limit", "1", "--role", "vision", "--creator", nobody).stderr
    assert f"There is no creator {nobody}." in run("ai", "limit", "1", "--creator", nobody).stderr
    assert "--month 11/26: give a month" in run("ai", "budget", "--month", "11/26").stderr


def test_small_amounts_are_exact() -> None:
    assert [dollars(one) for one in (0, 1, 10_000, 1_504_999, 999_995_000, 412)] == [
        "$0.00",
        "$0.000001",
        "$0.01",
        "$1.50",
        "$1,000.00",
        "$0.000412",
    ]
