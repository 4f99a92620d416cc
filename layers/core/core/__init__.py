"""What every function shares: settings, HTTP, identity, ids, time and logging."""
