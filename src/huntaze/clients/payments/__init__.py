"""Charging: the port, the gateway that is embedded, and Stripe."""
