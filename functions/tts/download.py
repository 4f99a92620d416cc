"""GET /tts/{id}/download: a signed URL of speech."""

from generation.endpoints.download import download
from tts.service import SERVICE

handler = download(SERVICE)
