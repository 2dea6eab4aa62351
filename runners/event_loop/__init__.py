"""The event loop of a run: its choice, a loop with a virtual clock, the watchdog that reports code that blocks it, and its shutdown."""
