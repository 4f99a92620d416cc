"""What every function shares: settings, HTTP, identity, ids, time and logging."""

import gc

# Loading a function makes some hundred thousand objects, of which none is garbage: looking for it every few hundred of
# them is a fifth of a cold start.
gc.set_threshold(100_000, 50, 100)
