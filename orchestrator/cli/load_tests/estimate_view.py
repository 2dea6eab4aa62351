"""What a load test will take, in words."""

from __future__ import annotations

from ...capacity.workload.load_estimate import LoadEstimate


def describe_estimate(estimate: LoadEstimate) -> str:
    """Say requests, tokens and cost; each is at most what is said, unless no max_tokens bounds the answers."""
    if estimate.requests is None:
        return "as many requests as the server answers in the time"
    most = "at most" if estimate.is_bounded else "perhaps"
    parts = [f"{estimate.requests:,} requests"]
    if estimate.input_tokens is not None:
        parts.append(f"{estimate.input_tokens:,} tokens in")
    if estimate.output_tokens is not None:
        parts.append(f"{most} {estimate.output_tokens:,} out")
    parts.append("price unknown" if estimate.cost_usd is None else f"{most} {estimate.cost_usd:,.2f} USD")
    parts += [] if estimate.is_bounded else ["no max_tokens bounds the answers"]
    return ", ".join(parts)
