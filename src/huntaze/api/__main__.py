"""`python -m huntaze.api [--host ADDRESS] [--port NUMBER]`: exit code 2 if the settings are not usable."""

import argparse
import sys
from collections.abc import Sequence

from huntaze import tracing
from huntaze.api.app import build_app
from huntaze.api.server import build_server, configure_logs
from huntaze.settings import Settings, SettingsError, load

# What requests ask for; a test looks that no other is used.
GROUPS = ("database", "redis", "s3", "ai", "api", "retention", "webhooks", "billing", "invoice", "apify")


def main(argv: Sequence[str] | None = None) -> int:
    """Serves until it is told to stop; returns the exit code."""
    try:
        settings = load(*GROUPS)
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    chosen = _parser(settings).parse_args(argv)
    address = settings.api.model_copy(update={"host": chosen.host, "port": chosen.port})
    configure_logs()
    tracing.configure("huntaze-api")
    server = build_server(build_app(settings.model_copy(update={"api": address})))
    server.run()
    tracing.close()
    return 0 if server.started else 1


def _port(text: str) -> int:
    number = int(text)
    if not 0 <= number <= 65535:
        raise ValueError(text)
    return number


def _parser(settings: Settings) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="huntaze-api", description="The HTTP API of the fleet.")
    parser.add_argument("--host", default=settings.api.host, help="address to bind (HUNTAZE_API_HOST)")
    parser.add_argument(
        "--port", default=settings.api.port, type=_port, help="port to bind, 0 for any (HUNTAZE_API_PORT)"
    )
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
