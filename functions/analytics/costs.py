"""GET /analytics/costs: what each service, provider and model cost, and for how much use."""

from generation.usage import endpoints

handler = endpoints.costs()
