"""huntaze batches, against a real ledger."""

import json
import uuid

from huntaze.models import batch_store
from huntaze.models.database import Sessions
from huntaze.models.job_args import Noop
from huntaze.models.job_enqueue import NewJob
from huntaze.models.users import User
from tests.cli.conftest import Run


def test_batches_list_prints_ids_that_batches_show_takes(run: Run, sessions: Sessions, creator: User) -> None:
    with sessions.begin() as session:
        jobs = [NewJob(Noop(), creator_id=creator.id)] * 3
        batch = batch_store.create(session, jobs, creator_id=creator.id, name="summer").batch
        batch_store.create(session, [])
    with sessions.begin() as session:
        batch_store.close(session)
    lines = run("batches", "list").stdout.splitlines()[1:]
    assert [line.split()[0] for line in lines][-1] == str(batch.id)
    assert len(lines) == 2
    assert len(run("batches", "list", "--creator", creator.id).stdout.splitlines()) == 2
    shown = run("batches", "show", batch.id).stdout
    assert shown.splitlines()[-1].split() == ["waiting", "now", "3"]
    facts = json.loads(run("batches", "show", batch.id, "--json").stdout)
    assert (facts["total"], facts["ended_at"], facts["now"]["waiting"], facts["now"]["failed"]) == (3, None, 3, 0)
    assert [one["id"] for one in json.loads(run("batches", "list", "--limit", 9, "--json").stdout)][-1] == str(batch.id)


def test_a_batch_that_is_none(run: Run, sessions: Sessions) -> None:
    unknown = uuid.uuid4()
    result = run("batches", "show", unknown)
    assert (result.exit_code, result.stderr) == (1, f"There is no batch {unknown}.\n")
    assert run("batches", "list").stdout == "there are no such batches\n"
