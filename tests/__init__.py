"""Tests; the folder says what they prove."""
