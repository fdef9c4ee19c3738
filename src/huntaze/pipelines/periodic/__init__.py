"""When periodic work is due."""
