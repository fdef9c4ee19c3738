"""The JSON of the API: what comes in (closed: unknown fields are refused) and what goes out."""
