"""huntaze billing plans, huntaze billing subscribe: against a real ledger."""

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from huntaze.models.billing_plans import Coupon, Plan, TaxRate
from huntaze.models.billing_subscriptions import Subscription
from huntaze.models.database import Sessions
from huntaze.models.users import User
from tests.cli.conftest import Run
from tests.models.billing_kit import invoices
from tests.pipelines.billing.test_catalog import FILE


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "plans.toml").write_text(FILE)
    return tmp_path / "plans.toml"


def load(run: Run, file: Path, *options: str) -> list[tuple[str, str, int | None]]:
    done = run("billing", "plans", "load", file, "--json", *options)
    assert done.exit_code == 0, done.stderr
    return [(one["code"], one["outcome"], one["version"]) for one in json.loads(done.stdout)["entries"]]


def subscribe(run: Run, creator: User, *options: object) -> dict[str, Any]:
    done = run("billing", "subscribe", creator.handle, "--plan", "pro", "--json", *options)
    assert done.exit_code == 0, done.stderr
    facts: dict[str, Any] = json.loads(done.stdout)
    return facts


def test_a_file_is_loaded_once(run: Run, file: Path, sessions: Sessions) -> None:
    assert [one[1] for one in load(run, file, "--check")] == ["made"] * 3
    assert "there are no plans" in run("billing", "plans", "list").stdout, "nothing was kept"
    assert load(run, file) == [("VAT", "made", None), ("WELCOME", "made", None), ("pro", "made", 1)]
    assert [one[1] for one in load(run, file)] == ["unchanged"] * 3
    with sessions() as session:
        counts = [session.scalar(select(func.count()).select_from(table)) for table in (Plan, Coupon, TaxRate)]
    assert counts == [1, 1, 1]
    assert run("billing", "plans", "list").stdout.splitlines()[-1].split()[:4] == ["pro", "1", "EUR", "month"]


def test_what_differs_is_another_version(run: Run, file: Path, sessions: Sessions, creator: User) -> None:
    load(run, file)
    subscribe(run, creator)
    file.write_text(FILE.replace('"1900"', '"2900"').replace("percent = 20", "percent = 21"))
    assert load(run, file) == [("VAT", "changed", None), ("WELCOME", "unchanged", None), ("pro", "changed", 2)]
    (told,) = json.loads(run("billing", "plans", "list", "--json").stdout)
    assert (told["version"], told["prices"][0]["terms"]["amount"]) == (2, "2900")
    with sessions() as session:
        version = session.scalar(select(Plan.version).join(Subscription, Subscription.plan_id == Plan.id))
    assert version == 1, "who is there keeps the old one"
    file.write_text(FILE.replace('currency = "EUR"', 'currency = "EUR"\non_sale = false'))
    assert load(run, file)[-1] == ("pro", "retired", 2)
    refused = run("billing", "subscribe", creator.handle, "--plan", "pro")
    assert (refused.exit_code, refused.stderr) == (2, "--plan: There is no plan with this code on sale.\n")


def test_a_coupon_in_use_stays_as_it_is(run: Run, file: Path, sessions: Sessions, creator: User) -> None:
    load(run, file)
    file.write_text(FILE.replace("33.33", "40"))
    assert ("WELCOME", "changed", None) in load(run, file)
    subscribe(run, creator, "--coupon", "WELCOME")
    file.write_text(FILE.replace('"1900"', '"2900"'))
    refused = run("billing", "plans", "load", file)
    assert (refused.exit_code, "coupons[0].code: WELCOME was given" in refused.stderr) == (2, True)
    with sessions() as session:
        assert session.scalar(select(func.count()).select_from(Plan)) == 1, "all of the file or nothing"


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("plans.toml", FILE.replace("EUR", "EURO"), "plans[0].currency: "),
        ("plans.toml", "plans = [", "is no TOML: "),
        ("plans.json", '{"plans": 5}', "plans: "),
        ("plans.json", "[" * 100_000, "is no JSON: "),
        ("plans.yaml", "", "must end in .toml or .json"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(run: Run, tmp_path: Path, name: str, content: str, told: str) -> None:
    (tmp_path / name).write_text(content)
    refused = run("billing", "plans", "load", tmp_path / name)
    assert refused.exit_code == 2
    assert str(tmp_path / name) in refused.stderr
    assert told in refused.stderr


def test_a_creator_is_subscribed_and_billed_on_the_day(run: Run, file: Path, sessions: Sessions, creator: User) -> None:
    load(run, file)
    options = ["--anchor-day", 31, "--zone", "Europe/Paris", "--trial-days", 0, "--tax-rate", "VAT", "--quantity", 2]
    made = subscribe(run, creator, *options, "--customer", "cus_1", "--method", "pm_1")
    assert made["made"]
    assert subscribe(run, creator, *options)["made"] is False
    with sessions() as session:
        (row,) = session.scalars(select(Subscription))
    assert (row.quantity, row.customer, row.method, row.trial_end) == (2, "cus_1", "pm_1", None)
    assert run("billing", "run").exit_code == 0
    (invoice,) = invoices(sessions, row.id)
    assert 0 < invoice.total_minor <= 1900 * 120 // 100, "a part of a month, with tax"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["nobody", "--plan", "pro"], "There is no creator 'nobody'"),
        (["ada", "--plan", "pro", "--zone", "Mars"], "--zone: 'Mars' is no time zone"),
        (["ada", "--plan", "pro", "--coupon", "X"], "--coupon: There is no coupon"),
        (["ada", "--plan", "pro", "--tax-rate", "X"], "--tax-rate: There is no tax rate"),
        (["ada", "--plan", "pro", "--method", "pm_1"], "--method is a card of a customer"),
    ],
)
def test_a_refusal_names_the_option(run: Run, file: Path, creator: User, options: list[str], told: str) -> None:
    load(run, file)
    refused = run("billing", "subscribe", *[creator.handle if one == "ada" else one for one in options])
    assert (refused.exit_code, told in refused.stderr) == (2, True), refused.stderr
