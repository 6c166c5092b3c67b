"""Pages for residents and staff, server-rendered."""
