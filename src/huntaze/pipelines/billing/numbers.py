"""What an invoice's number looks like. Which one is next, without gaps, is the store's to say."""


def invoice_number(series: str, sequence: int, width: int = 6) -> str:
    """ "INV-000014": the 14th of the series INV. Wider ones are written whole."""
    return f"{series}-{sequence:0{width}d}"
