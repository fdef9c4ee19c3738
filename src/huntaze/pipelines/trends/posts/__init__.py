"""From the rows of scrapers to posts: one normaliser a platform, one typed post for all."""
