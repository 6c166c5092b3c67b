"""Pure decisions: no I/O, no clock, no random, no logging, no thread."""
