"""The index of the image service: a line in its owner's history for each record, none for a deleted one."""

from generation.endpoints.index import index
from image.service import SERVICE

handler = index(SERVICE)
