"""huntaze offers, against a real ledger."""

import json
import uuid

from sqlalchemy import text

from huntaze.models import offer_store
from huntaze.models.database import Sessions
from huntaze.models.users import User
from huntaze.pipelines.offers.states import Action
from tests.cli.conftest import Run


def test_listed_shown_held_back(run: Run, sessions: Sessions, creator: User) -> None:
    terms = {"percent_off_bp": 1250, "quota": 3, "per_fan": 1, "audience": []}
    with sessions.begin() as session:
        offer = offer_store.create(session, creator.id, {"name": "Summer", **terms}).offer
        offer_store.act(session, offer.id, creator.id, Action.SCHEDULE)
    line = run("offers", "list", "--state", "active").stdout.splitlines()[1].split()
    assert line[:8] == [str(offer.id), "active", "12.5", "%", "off", "0", "of", "3"]
    assert run("offers", "pause", offer.id).stdout == f"{offer.id} is paused\n"
    assert run("offers", "list", "--state", "active").stdout == "there are no such offers\n"
    assert run("offers", "resume", offer.id).stdout == f"{offer.id} is active\n"
    with sessions.begin() as session:
        session.execute(text("UPDATE offers SET starts_at = now() - interval '2 h', ends_at = now() - interval '1 h'"))
    facts = json.loads(run("offers", "show", offer.id, "--json").stdout)
    assert (facts["state"], facts["stored_state"]) == ("expired", "active")
    assert "expired" in run("offers", "show", offer.id).stdout
    refused = run("offers", "cancel", offer.id)
    assert (refused.exit_code, "expired" in refused.stderr) == (1, True)
    unknown = uuid.uuid4()
    assert run("offers", "show", unknown).stderr == f"There is no offer {unknown}; see huntaze offers list.\n"
