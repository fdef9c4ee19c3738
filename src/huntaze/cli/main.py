"""The `huntaze` command: which module holds which command. Only the module that is asked for is imported."""

import importlib
import sys

import typer

from huntaze.settings import SettingsError

# Command -> module of this folder. A module offers the command as a function, or as a typer.Typer of subcommands.
COMMANDS = {
    "up": "local",
    "demo": "local",
    "api": "processes",
    "worker": "processes",
    "dispatcher": "processes",
    "beat": "processes",
    "flower": "processes",
    "db": "database",
    "keys": "keys",
    "jobs": "jobs",
    "batches": "batches",
    "queues": "queues",
    "analytics": "analytics",
    "periodic": "periodic",
    "billing": "billing",
    "enqueue": "enqueue",
    "video": "video",
    "trends": "trends",
    "ai": "ai",
    "webhooks": "webhooks",
    "offers": "offers",
    "sources": "sources",
    "reports": "reports",
    "doctor": "doctor",
}


def build_app(only: str | None = None) -> typer.Typer:
    """All commands, or `only` one: imports are most of the time that a short command takes."""
    app = typer.Typer(
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        help="The background half of a creator platform.",
    )
    app.callback()(lambda: None)  # with one command alone, typer would make it the program itself
    for name, module in COMMANDS.items():
        if only in (None, name):
            command = getattr(importlib.import_module(f"huntaze.cli.{module}"), name)
            if isinstance(command, typer.Typer):
                app.add_typer(command, name=name)
            else:
                # What a process is told besides its name is its own to read, --help included.
                passed_on = module == "processes"
                settings = {"allow_extra_args": True, "ignore_unknown_options": True} if passed_on else None
                app.command(name, context_settings=settings, add_help_option=not passed_on)(command)
    return app


def main() -> None:
    """Runs the command. A wrong setting is a sentence on standard error and exit code 2, never a traceback."""
    asked = sys.argv[1] if len(sys.argv) > 1 and sys.argv[1] in COMMANDS else None
    try:
        build_app(asked)()
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(2)


if __name__ == "__main__":
    main()
