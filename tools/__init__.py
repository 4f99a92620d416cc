"""Programs and rules that work on this repository, and are no part of what is deployed."""
