"""GET /analytics/overview: totals of a range, and what was used most in it."""

from generation.usage import endpoints

handler = endpoints.overview()
