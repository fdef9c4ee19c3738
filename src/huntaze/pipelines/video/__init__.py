"""See inside a video without reading all of it, and believe only what can be checked of what a model says of it."""
