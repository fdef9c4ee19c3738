"""The outside world behind ports that are named by need. Nothing opens at import."""
