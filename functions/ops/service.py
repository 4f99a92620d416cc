"""What the platform says of itself, and what keeps it in order."""

from core.areas import Area

SERVICE = Area(name="ops", tag="Platform", about="The state of the platform, and this description.", order=90)
