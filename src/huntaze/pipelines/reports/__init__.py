"""A report of figures: from values to charts, pages and tables. Pure."""
