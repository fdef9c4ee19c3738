"""What an invoice's number looks like. Which one is next, without gaps, is the store's to say."""


def invoice_number(series: str, sequence: int, width: int = 3) -> str:
    """ "001-014": the 14th of series 001. Wider sequences are written whole."""
    return f"{series}-{sequence:0{width}d}"
