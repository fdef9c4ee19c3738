from sqlalchemy import Engine

from huntaze.models import schema


def test_models_and_migrations_agree(engine: Engine) -> None:
    assert schema.differences(engine) == []


def test_an_upgrade_of_what_is_up_to_date_changes_nothing(engine: Engine) -> None:
    before, after = schema.upgrade(engine)
    assert before == after
    assert schema.revisions(engine) == (after, after)
