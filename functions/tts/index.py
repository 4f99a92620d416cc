"""The index of the tts service: a line in its owner's history for each record, none for a deleted one."""

from generation.endpoints.index import index
from tts.service import SERVICE

handler = index(SERVICE)
