"""What a webhook is made of: signatures, the times of its attempts, where it may go. Pure."""
