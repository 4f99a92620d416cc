"""The web page that the platform is used from."""

from core.areas import Area

SERVICE = Area(
    name="console", tag="Console", about="The web page of the platform, and how it stays logged in.", order=80
)
