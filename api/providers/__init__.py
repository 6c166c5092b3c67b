"""One file a payment provider."""
