"""The start and the stop of a worker node."""

import os
import signal
import threading
from typing import Any

import billiard
from billiard.exceptions import WorkerLostError
from celery import Celery, signals

from huntaze import logs, tracing
from huntaze.models import job_settle
from huntaze.models.database import build_engine, build_sessions
from huntaze.models.node_store import Worker
from huntaze.settings import Settings
from huntaze.worker.ai_metrics import AiRetirements
from huntaze.worker.app import keep_logs
from huntaze.worker.broker import EVENTS_S
from huntaze.worker.heartbeat import Heartbeat
from huntaze.worker.job_metrics import JobMetrics
from huntaze.worker.metrics import node_registry, serve

_log = logs.logger(__name__)


def connect(app: Celery, settings: Settings, *, prefork: bool, worker: Worker, metrics: JobMetrics) -> None:
    """Ties this node's start and stop to Celery's signals."""
    heartbeat = Heartbeat(settings.database, app.huntaze_node, "worker", worker)

    def ready(sender: Any, **_: Any) -> None:
        registry = node_registry(metrics, worker.slots)
        registry.register(AiRetirements(settings.ai))
        serve(settings.worker, registry)
        heartbeat.keep_beating()
        sender.timer.call_repeatedly(EVENTS_S, lambda: sender.event_dispatcher and sender.event_dispatcher.flush())

    def gone(**_: Any) -> None:
        tracing.close()
        heartbeat.leave()

    def unknown(id: str, name: str, **_: Any) -> None:
        # Of a newer deploy than ours: Celery drops the message, the row waits for a worker that knows it.
        _log.warning("unknown kind handed back", job_id=id, kind=name, declined=heartbeat.decline(id))

    def failed(task_id: str, exception: BaseException, **_: Any) -> None:
        if isinstance(exception, WorkerLostError):  # killed, or crashed
            heartbeat.expire(task_id, [child.pid for child in billiard.active_children()])

    def build(**_: Any) -> None:
        tracing.configure("huntaze-worker")
        app.huntaze_runtime.get()  # before the first job, so that it does not pay for imports and clients

    def begin_grace(**_: Any) -> None:
        threading.Thread(target=end_grace, args=(app.huntaze_node, settings), name="grace", daemon=True).start()

    keep_logs(settings)
    signals.worker_ready.connect(ready, weak=False)
    signals.task_unknown.connect(unknown, weak=False)
    signals.task_failure.connect(failed, weak=False)
    signals.worker_shutdown.connect(gone, weak=False)
    signals.worker_shutting_down.connect(begin_grace, weak=False)
    # Sockets opened before a fork would be shared by accident. With threads nothing forks, and that signal is silent.
    (signals.worker_process_init if prefork else signals.worker_init).connect(build, weak=False)
    signals.worker_process_shutdown.connect(lambda **_: tracing.close(), weak=False)


def end_grace(node: str, settings: Settings) -> None:
    """After the grace period: everything still running goes back to the ledger, then the node is gone.

    Celery's warm shutdown waits for running jobs; whoever is done in time ends the process before this wakes up. The
    order matters: once the rows are back, the fence makes whatever the children still do worth nothing.
    """
    threading.Event().wait(settings.worker.grace_s)
    try:
        engine = build_engine(settings.database.sqlalchemy_url, pool_size=1, application="huntaze-stop")
        with build_sessions(engine).begin() as session:
            ids = job_settle.hand_back(session, node)
        _log.info("grace is over: unfinished jobs handed back", jobs=[str(id) for id in ids])
    except Exception as error:
        _log.warning("could not hand back; the leases will", error=type(error).__name__)
    for child in billiard.active_children():
        os.kill(child.pid, signal.SIGKILL)
    os._exit(0)
