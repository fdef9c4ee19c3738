"""DOOR: runs jobs. Celery app, JobTask, routing, lifecycle, dispatcher, clock."""
