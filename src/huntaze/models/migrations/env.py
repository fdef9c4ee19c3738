"""Alembic's entry: runs inside the connection that `schema.py` hands over."""

from alembic import context

from huntaze.models.tables import METADATA

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=METADATA, compare_type=True, compare_server_default=True)
with context.begin_transaction():
    context.run_migrations()
