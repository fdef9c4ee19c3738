"""A number for each creator that is another one whenever its figures are: what a cache of reads goes by.

Triggers on the buckets and the periods keep it (migration 0015), whoever changes them: a late fact, a correction, an
erasure, a rebuild. Revenue is the ledger's, which only ever grows: its newest entry is part of the version.
"""

import uuid

from sqlalchemy import BigInteger, text
from sqlalchemy.orm import Mapped, Session, mapped_column

from huntaze.models.base import Base


class FiguresVersion(Base):
    """How often a creator's figures have changed."""

    __tablename__ = "analytics_versions"
    __table_args__ = ({"postgresql_with": {"fillfactor": 50}},)  # one update a minute a creator, touching no index

    creator_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(BigInteger)


_READ = text("""
    SELECT coalesce((SELECT version FROM analytics_versions WHERE creator_id = :creator_id), 0)::text
        || '.' || coalesce((SELECT max(id) FROM ledger_entries WHERE creator_id = :creator_id), 0)::text
        || '.' || coalesce((SELECT time_zone FROM users WHERE id = :creator_id), '')
        || '.' || floor(extract(epoch FROM clock_timestamp()) / 900)::text
""")


def version(session: Session, creator_id: uuid.UUID) -> str:
    """The state of a creator's figures, and the quarter of an hour: "today" is another day in some zone at each."""
    told: str = session.execute(_READ, {"creator_id": creator_id}).scalar_one()
    return told
