"""What a creator's figures mean: figures in, checked insights out."""
