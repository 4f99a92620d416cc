"""GET /analytics/performance: how fast and how reliable each service, provider and model was."""

from generation.usage import endpoints

handler = endpoints.performance()
