"""MiniStack in our process, and all that is changed in it: README.md says what, why, and until when."""
