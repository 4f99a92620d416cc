"""What `make fuzz` runs: schemathesis over the served description, against a platform of its own."""
