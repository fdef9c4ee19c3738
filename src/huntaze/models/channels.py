"""Names of the PostgreSQL notification channels. A notification is a hint to look; its loss costs one poll."""

JOBS = "huntaze_jobs"  # a job became due now
EVENTS_WRITTEN = "huntaze_events_written"  # events wait for their positions
EVENTS_PLACED = "huntaze_events_placed"  # streams have something new to read
