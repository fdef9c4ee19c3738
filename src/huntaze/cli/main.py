"""The `huntaze` command."""


def main() -> None:
    """Entry point."""
