"""How a scorer is set in the user's file or from Python."""

from __future__ import annotations

from collections.abc import Mapping

ScorerSetting = str | Mapping[str, object]
"""A name, or `{name: numeric, tolerance: 0.01}`, which may also be written `{numeric: {tolerance: 0.01}}`."""
