"""What was used, by whom, at what cost."""

from core.areas import Area

SERVICE = Area(
    name="analytics", tag="Usage", about="What was used, by whom, at what cost.", order=60, aliases=("usage",)
)
