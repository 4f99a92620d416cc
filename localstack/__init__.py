"""The whole platform on one machine: environments, embedded PostgreSQL and MiniStack, deployment, and smoke calls."""
