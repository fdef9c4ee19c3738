"""Money owed: periods, prices, prorations, taxes and invoices as values. Pure: no clock, no store."""
