"""What click gives the commands of load tests, by name. A key is a parameter of the command, its type that of the option."""

from __future__ import annotations

from typing import NotRequired, TypedDict


class LoadFlags(TypedDict):
    """The flags of every load test; flags that only a test of one endpoint has may be missing."""

    config: str | None
    model: str | None
    attempt_timeout: float | None
    share: bool
    sets: tuple[str, ...]
    workload: str | None
    random_input_len: str | None
    random_output_len: str | None
    random_range_ratio: float
    prefix_ratio: float
    extra_body: str | None
    stream: bool
    no_calibration: bool
    seed: int | None
    cost_limit: float | None
    yes: bool
    as_json: bool
    config_option: NotRequired[str | None]
    instance: NotRequired[tuple[str, ...]]
    base_url: NotRequired[str | None]
    api_key_env: NotRequired[str | None]
    metrics_url: NotRequired[str | None]
    no_server_metrics: NotRequired[bool]


class PaceFlags(TypedDict):
    """How long a rung lasts."""

    prompts_per_slot: int
    min_requests: int
    rung_duration: float | None
    window: float | None
    minute: float


class LadderFlags(LoadFlags, PaceFlags):
    """The flags of `bench ladder`."""

    rungs: str | None
    no_stop: bool
    no_refine: bool
    min_success: float
    max_ttft: float
    min_gain: float
    max_cpu_share: float
    max_lag: float
    max_kv_usage: float
    tpm_limit: float | None
    rpm_limit: float | None
    no_contrast: bool
    together: bool
    expects: tuple[str, ...]
    save: bool
    save_result: bool
    result_filename: str | None
    output_dir: str | None
    resume: str | None


class QpsFlags(LoadFlags, PaceFlags):
    """The flags of `bench qps`."""

    target: float
    max_concurrency: int


class CompareFlags(LoadFlags):
    """The flags of `bench compare`."""

    concurrency: int
    rounds: int
    requests: int
    fail_if_worse: bool
    minute: float


class RunFlags(LoadFlags):
    """The flags of `bench run`."""

    preset: str | None
    max_concurrency: int | None
    request_rate: float | None
    burstiness: float
    num_prompts: int | None
    duration: float | None
    warmup: float
    cooldown: float
    display: str | None
    save_result: bool
    result_filename: str | None
    save_requests: str | None
