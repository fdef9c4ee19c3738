"""Whoever runs scrapers for us: the port, Apify's HTTP behind it, and its twin."""
