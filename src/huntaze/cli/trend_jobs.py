"""Detection and recommendations by hand, at any moment: the same jobs as the clock's, for a slot of one's own."""

import uuid
from datetime import datetime

from sqlalchemy.orm import Session

from huntaze.models import job_enqueue
from huntaze.models.job_args import PeriodicArgs, TrendsDetect, TrendsRecommend, TrendsRecommendRun
from huntaze.models.jobs import Job


def detect(session: Session, slot: datetime) -> Job:
    """Scores what is settled by `slot`. Hours are scored once, so it may come between the clock's own slots."""
    return job_enqueue.enqueue(session, TrendsDetect(slot=slot)).job


def recommend(session: Session, slot: datetime, creator_id: uuid.UUID | None = None) -> Job:
    """A new set for one creator, or (None) for all who have anything to be compared with. A creator's job that has not
    ended is the answer to this too."""
    args: PeriodicArgs = TrendsRecommendRun(slot=slot) if creator_id is None else TrendsRecommend(slot=slot)
    return job_enqueue.enqueue(session, args, creator_id=creator_id).job
