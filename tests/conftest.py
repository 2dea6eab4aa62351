"""What every test needs."""

import asyncio

# looptime's plugin asks the policy for a loop in synchronous tests too; without one to make, none is left open.
asyncio.set_event_loop(None)
