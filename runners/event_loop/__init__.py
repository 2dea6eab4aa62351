"""The event loop of a run: its choice, a loop with a virtual clock, and the watchdog that reports code that blocks it."""
