"""Every table, imported: a statement on one follows its foreign keys to the others."""

from huntaze.models import batches, content, events, flows, jobs, nodes, periodic, users
from huntaze.models.base import Base

MODULES = (batches, content, events, flows, jobs, nodes, periodic, users)
METADATA = Base.metadata
