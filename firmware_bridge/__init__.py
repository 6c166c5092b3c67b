"""Between wires and events: codecs, drivers, transports, and the one gate per outlet."""
