"""GET /admin/images: the caller's history, newest first; an administrator may ask for anybody's."""

from generation.endpoints.list import list
from image.service import SERVICE

handler = list(SERVICE)
