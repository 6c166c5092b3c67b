"""How the schema came to be as it is: one numbered file a change, on SQLite and on PostgreSQL alike."""
