"""Users, sessions, passwords and tokens, and the PostgreSQL that keeps them. Knows nothing of generation."""
