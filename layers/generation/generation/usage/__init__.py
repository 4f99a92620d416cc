"""What was used, by whom, at what cost: counted once per call, kept in rows by day and month, asked by range."""
