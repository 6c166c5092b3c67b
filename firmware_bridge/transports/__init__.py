"""How bytes travel: MQTT, memory; serial and TCP will live here."""
