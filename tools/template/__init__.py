"""The stack's template, rendered from the services' descriptors and the parts in this folder."""
