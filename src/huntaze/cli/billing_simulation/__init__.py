"""Two years of billing in seconds: the real run on a scratch database, and each day a look at what it made."""
