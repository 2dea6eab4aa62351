"""The event loop of a run: its choice, its virtual clock, and the watchdog that names code that blocks it."""
