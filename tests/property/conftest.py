"""How long the machine tries: little and the same every time by default; HYPOTHESIS_PROFILE=long for a night."""

import os

from hypothesis import settings

settings.register_profile("short", deadline=None, derandomize=True, max_examples=100)
settings.register_profile("long", deadline=None, max_examples=3_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "short"))
