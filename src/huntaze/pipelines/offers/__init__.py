"""Offers of a creator: their states, their times, their price. Pure."""
