"""GET /analytics/timeseries: what was used hour by hour, or day by day."""

from generation.usage import endpoints

handler = endpoints.timeseries()
