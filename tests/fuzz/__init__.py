"""Coverage-guided fuzzing of whatever reads what devices say; `python -m tests.fuzz` runs it, the suite a short form.

Imports nothing: what is fuzzed must be loaded by whoever watches which lines are reached.
"""
