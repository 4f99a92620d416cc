"""GET /admin/summaries: the caller's history, newest first; an administrator may ask for anybody's."""

from generation.endpoints.list import list
from summarize.service import SERVICE

handler = list(SERVICE)
