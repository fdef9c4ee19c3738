"""What a charge can come to."""
