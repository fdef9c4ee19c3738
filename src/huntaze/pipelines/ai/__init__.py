"""What is asked of language models: calls, tokens, prices, thoughts, deployments and the way through them."""
