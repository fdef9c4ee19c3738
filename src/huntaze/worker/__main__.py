"""`python -m huntaze.worker worker|dispatcher|beat|flower`: the processes of this door."""

import argparse
import os
import signal
import socket
import sys
import threading
from collections.abc import Sequence

from huntaze import logs
from huntaze.models import tally
from huntaze.models.database import build_engine, build_sessions
from huntaze.models.job_kinds import KINDS, QUEUES
from huntaze.models.node_store import Worker
from huntaze.settings import Settings, SettingsError, load
from huntaze.worker.app import build_app, keep_logs
from huntaze.worker.dispatcher import Dispatcher, celery_sender
from huntaze.worker.heartbeat import Heartbeat
from huntaze.worker.job_metrics import JobMetrics
from huntaze.worker.metrics import BeatMetrics, DispatcherMetrics, serve
from huntaze.worker.sentinel import Sentinel

_CPU_QUEUES = {"video"}  # these want a process a core; the others wait on the network, and threads serve


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one process; returns its exit code. 2: the settings or the arguments are not usable."""
    options = _parser().parse_args(argv)
    try:
        settings = load()
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    logs.configure(settings.worker.log_level)
    run = {"worker": _worker, "dispatcher": _dispatcher, "beat": _beat, "flower": _flower}[options.process]
    return run(settings, options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="huntaze", description="The processes that run jobs.")
    processes = parser.add_subparsers(dest="process", required=True)
    worker = processes.add_parser("worker", help="claims and runs jobs")
    worker.add_argument("--queues", default=",".join(QUEUES), help=f"comma-separated, of: {', '.join(QUEUES)}")
    worker.add_argument("--concurrency", type=int, help="jobs at once; default: a process a core, or 16 threads")
    processes.add_parser("dispatcher", help="sends due jobs to the broker, rescues lost ones, places events")
    processes.add_parser("beat", help="fires the schedule")
    processes.add_parser("flower", help="shows the workers and their tasks, behind a password")
    return parser


def _worker(settings: Settings, options: argparse.Namespace) -> int:
    queues = [queue.strip() for queue in options.queues.split(",") if queue.strip()]
    unknown = sorted(set(queues) - set(QUEUES))
    if unknown or not queues:
        sys.stderr.write(
            f"--queues: {', '.join(unknown) or 'nothing'} is not a queue; there are: {', '.join(QUEUES)}\n"
        )
        return 2
    prefork = bool(_CPU_QUEUES & set(queues))
    concurrency = options.concurrency or (os.cpu_count() or 1 if prefork else 16)
    from huntaze.worker import base, lifecycle  # what runs jobs; the other processes start without it

    app = build_app(settings)
    metrics = JobMetrics()
    base.register(app, settings, threads=1 if prefork else concurrency, metrics=metrics)
    kinds = {name: kind.args.version for name, kind in KINDS.items()}
    lifecycle.connect(app, settings, prefork=prefork, worker=Worker(queues, concurrency, kinds), metrics=metrics)
    # Not through Celery's command line: it imports every plug-in's commands, Flower's among them, which takes a second.
    node = app.Worker(
        hostname=f"{queues[0]}@{socket.gethostname()}-{os.getpid()}",
        queues=queues,
        pool="huntaze.worker.pool:ProcessPool" if prefork else "huntaze.worker.pool:ThreadPool",
        concurrency=concurrency,
        without_gossip=True,
        without_mingle=True,
        quiet=True,
    )
    node.start()
    return int(node.exitcode or 0)


def _dispatcher(settings: Settings, _: argparse.Namespace) -> int:
    app = build_app(settings)
    engine = build_engine(settings.database.sqlalchemy_url, pool_size=2, application="huntaze-dispatcher", scans=False)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    sessions = build_sessions(engine)
    heartbeat = Heartbeat(settings.database, app.huntaze_node, "dispatcher")
    metrics = DispatcherMetrics()
    tally.watch(sessions, metrics.jobs.tally)
    serve(settings.worker, metrics.registry)
    Dispatcher(
        sessions,
        celery_sender(app),
        settings.worker,
        settings.database.libpq_url,
        sentinel=Sentinel(settings.redis),
        heartbeat=heartbeat.beat,
        metrics=metrics,
    ).run(stop)
    heartbeat.leave()
    return 0


def _beat(settings: Settings, _: argparse.Namespace) -> int:
    app = build_app(settings)
    keep_logs(settings)
    app.huntaze_heartbeat = Heartbeat(settings.database, app.huntaze_node, "beat")
    serve(settings.worker, BeatMetrics().registry)
    app.Beat(quiet=True).run()
    app.huntaze_heartbeat.leave()
    return 0


def _flower(settings: Settings, _: argparse.Namespace) -> int:
    flower = settings.flower
    if flower.password is None:
        sys.stderr.write("HUNTAZE_FLOWER_PASSWORD is not set: Flower does not start without a password.\n")
        return 2
    # By the environment: arguments are there for every user of the machine to read.
    os.environ["FLOWER_BASIC_AUTH"] = f"{flower.user}:{flower.password.get_secret_value()}"
    app = build_app(settings)
    keep_logs(settings)
    app.start(["flower", f"--address={flower.host}", f"--port={flower.port}"])
    return 0


if __name__ == "__main__":
    sys.exit(main())
