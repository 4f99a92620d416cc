"""The routes that every generating service has: a module for each, which makes the route of a service's descriptor."""
