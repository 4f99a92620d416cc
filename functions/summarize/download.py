"""GET /summarize/{id}/download: a signed URL of a summary."""

from generation.endpoints.download import download
from summarize.service import SERVICE

handler = download(SERVICE)
