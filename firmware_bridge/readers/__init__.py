"""Card readers at the gateway: bytes in, swipes, keys and faults out. No I/O and no clock; a thread's shell is in
`transports/reader_port.py`, what a swipe leads to in `choice.py` and, at last, in the core."""
