"""HTTP: JSON, webhooks, pages. Reads through queries, changes through the one door."""
