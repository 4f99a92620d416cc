"""GET /chat/{id}/download: a signed URL of an answer."""

from chat.service import SERVICE
from generation.endpoints.download import download

handler = download(SERVICE)
