"""Run the unit tests at odd moments: `make test-clock`."""
