"""The one door to language models. Whoever asks one takes a `ModelGateway` (ports.py) and knows no vendor."""
