"""The authentication hook of the LiteLLM proxy: the limits of a key, from the file that LITELLM_KEYS_FILE names.

It is copied beside the proxy's configuration and runs in the proxy's environment.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from litellm.proxy._types import UserAPIKeyAuth, hash_token

_limits = json.loads(Path(os.environ["LITELLM_KEYS_FILE"]).read_text())


async def user_api_key_auth(request: object, api_key: str) -> UserAPIKeyAuth:  # noqa: ARG001 - LiteLLM's signature
    """Return the limits of a key."""
    return UserAPIKeyAuth(api_key=hash_token(api_key), **_limits[api_key])
