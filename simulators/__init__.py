"""Twins, batteries, residents and the world they live in; nothing here decides."""
