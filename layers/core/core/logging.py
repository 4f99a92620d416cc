"""Structured logs: one JSON object a line, with the service's name from ``POWERTOOLS_SERVICE_NAME``, times in UTC.

Never pass a password, a token, a key, a signed URL or a whole prompt to it.
"""

from aws_lambda_powertools import Logger

logger = Logger(utc=True)
