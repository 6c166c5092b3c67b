"""Bytes to frames and back, both directions, no I/O."""
