"""LocalStack without Docker: its packages from PyPI in an environment of their own, functions as host processes.

The folder `inside` runs in LocalStack's process, whose package has the name of ours: nothing there imports it.
"""
