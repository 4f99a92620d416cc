"""Other emulators than the embedded one that run the same template on this machine."""
