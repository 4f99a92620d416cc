"""GET /image/{id}/download: a signed URL of a picture."""

from generation.endpoints.download import download
from image.service import SERVICE

handler = download(SERVICE)
