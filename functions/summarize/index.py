"""The index of the summaries: a line in its owner's history for each record, none for a deleted one."""

from generation.endpoints.index import index
from summarize.service import SERVICE

handler = index(SERVICE)
