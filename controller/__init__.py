"""The gateway's heart: a pure core, an engine around it, and the one pen that writes."""
