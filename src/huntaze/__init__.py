"""The background half of a creator platform."""

__version__ = "0.1.0"
