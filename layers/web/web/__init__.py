"""Applications of FastAPI as functions of the platform."""
