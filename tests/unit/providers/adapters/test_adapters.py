from __future__ import annotations

from collections.abc import Sequence

import pytest
from pydantic import BaseModel, ValidationError

from providers.adapters.azure import AzureSettings
from providers.adapters.gateway import GatewaySettings
from providers.adapters.openai_compatible import OpenAISettings
from providers.adapters.registry import AdapterContext, adapter_type
from providers.adapters.routed import RoutedAdapter, open_transport
from providers.adapters.settings import WireSettings, check_key
from providers.credentials import ApiKey
from providers.errors import InputError
from providers.instance import Instance
from providers.messages import ChatRequest, ChatResponse, Timing, Usage
from providers.provider import Adapter, RouteSpec
from providers.route import Route
from providers.transport.native import NativeTransport
from providers.transport.sdk import SdkTransport

AZURE: dict[str, object] = {"type": "azure", "endpoint": "https://east.openai.azure.com/", "api_key_env": "AZURE_KEY"}
GATEWAY: dict[str, object] = {
    "type": "gateway",
    "base_url": "https://gw.example/v1",
    "api_key_envs": ["LAB_0", "LAB_1", "LAB_2"],
}
OPENAI: dict[str, object] = {"type": "openai", "base_url": "http://127.0.0.1:8000/v1"}

SURROUNDINGS = AdapterContext(key=lambda name: ApiKey(name, f"secret-{name}"))
ANSWER = ChatResponse("42", (), "stop", Usage(1, 1), Timing(0.0, None, 0.0), None, "id", "m", None)


def open_adapter(name: str, entry: dict[str, object], adapter_context: AdapterContext = SURROUNDINGS) -> Adapter:
    kind = adapter_type(str(entry["type"]))
    return kind.open(name, kind.settings.model_validate(entry), adapter_context)


class RecordingTransport:
    """Keeps the routes that it is sent along."""

    def __init__(self) -> None:
        self.routes: list[Route] = []
        self.closed = False

    async def send(self, route: Route, request: ChatRequest, *, request_id: str, deadline: float) -> ChatResponse:
        self.routes.append(route)
        return ANSWER

    async def aclose(self) -> None:
        self.closed = True


def names(instances: Sequence[Instance]) -> list[str]:
    return [instance.name for instance in instances]


def test_every_azure_deployment_is_an_instance() -> None:
    adapter = open_adapter("east", AZURE)
    found = adapter.instances("DeepSeek-V3", RouteSpec(deployments=["DeepSeek-V3", "DeepSeek-V3-2", "DeepSeek-V3"]))
    assert names(found) == ["east/DeepSeek-V3", "east/DeepSeek-V3-2"]
    assert found[1] == Instance("east/DeepSeek-V3-2", "DeepSeek-V3", "DeepSeek-V3-2", "east", "east/DeepSeek-V3-2")


def test_a_model_without_deployments_is_its_own_deployment() -> None:
    assert names(open_adapter("east", AZURE).instances("gpt-4o", RouteSpec())) == ["east/gpt-4o"]
    assert names(open_adapter("local", OPENAI).instances("llama", RouteSpec())) == ["local/llama"]


def test_every_key_and_model_of_a_gateway_is_an_instance() -> None:
    adapter = open_adapter("lab", GATEWAY)
    assert names(adapter.instances("qwen", RouteSpec())) == ["lab/key0/qwen", "lab/key1/qwen", "lab/key2/qwen"]


def test_a_chosen_key_keeps_its_number() -> None:
    assert names(open_adapter("lab", GATEWAY).instances("qwen", RouteSpec(keys=["LAB_2"]))) == ["lab/key2/qwen"]


def test_a_gateway_s_deployment_may_have_another_name() -> None:
    adapter = open_adapter("lab", GATEWAY)
    (found,) = adapter.instances("o3", RouteSpec(keys=["LAB_0"], deployments=["o3-0416-global"]))
    assert (found.name, found.model, found.deployment) == ("lab/key0/o3", "o3", "o3-0416-global")
    several = adapter.instances("o3", RouteSpec(keys=["LAB_0", "LAB_1"], deployments=["a", "b"]))
    assert names(several) == ["lab/key0/a", "lab/key0/b", "lab/key1/a", "lab/key1/b"]


def test_an_unknown_key_is_named_with_the_nearest() -> None:
    with pytest.raises(InputError, match=r"lab has no key 'LAB_4'; did you mean \"LAB_"):
        open_adapter("lab", GATEWAY).instances("qwen", RouteSpec(keys=["LAB_4"]))


def test_keys_of_a_gateway_may_come_in_one_string() -> None:
    settings = GatewaySettings.model_validate(GATEWAY | {"api_key_envs": "K0, K1,"})
    assert settings.api_key_envs == ("K0", "K1")


def test_only_the_keys_that_a_model_uses_are_read() -> None:
    read: list[str] = []

    def key(name: str) -> ApiKey:
        read.append(name)
        return ApiKey(name, "secret")

    open_adapter("lab", GATEWAY, AdapterContext(key)).instances("qwen", RouteSpec(keys=["LAB_1"]))
    assert read == ["LAB_1"]


def find_route(entry: dict[str, object], deployment: str = "m 1/x") -> Route:
    adapter = open_adapter("p", entry)
    assert isinstance(adapter, RoutedAdapter)
    (route,) = adapter._find_routes("m", RouteSpec(deployments=[deployment]))
    return route


def test_classic_azure_puts_the_deployment_into_the_path() -> None:
    route = find_route(AZURE | {"api_version": "2025-01-01-preview"})
    assert route.base_url == "https://east.openai.azure.com/openai/deployments/m%201%2Fx"
    assert (route.api_version, route.auth) == ("2025-01-01-preview", "api-key")


def test_azure_v1_is_the_default_and_has_no_version_and_no_deployment_in_its_path() -> None:
    for entry in (AZURE, AZURE | {"api": "v1"}):
        route = find_route(entry)
        assert (route.base_url, route.api_version) == ("https://east.openai.azure.com/openai/v1", None)
        assert route.instance.deployment == "m 1/x"


def test_the_models_api_of_foundry_has_a_version_and_no_deployment_in_its_path() -> None:
    route = find_route(AZURE | {"endpoint": "https://hub.services.ai.azure.com", "api": "models"})
    assert route.base_url == "https://hub.services.ai.azure.com/models"
    assert (route.api_version, route.auth) == ("2024-05-01-preview", "api-key")


def test_classic_azure_without_a_version_takes_the_latest_stable_one() -> None:
    assert find_route(AZURE | {"api": "classic"}).api_version == "2024-10-21"


PASTED = {
    "": ("v1", None),
    "/": ("v1", None),
    "/openai": ("v1", None),
    "/openai/": ("v1", None),
    "/openai/v1/": ("v1", None),
    "/openai/v1/chat/completions": ("v1", None),
    "/openai/v1/responses": ("v1", None),
    "/api/projects/my-project": ("v1", None),
    "/api/projects/my-project/openai/v1": ("v1", None),
    "/models": ("models", "2024-05-01-preview"),
    "/models/chat/completions?api-version=2024-05-01-preview": ("models", "2024-05-01-preview"),
    "/openai/deployments/gpt-4o": ("classic", "2024-10-21"),
    "/openai/deployments/gpt-4o/chat/completions?api-version=2025-01-01-preview": ("classic", "2025-01-01-preview"),
    "/?api-version=2024-12-01-preview": ("classic", "2024-12-01-preview"),
}


@pytest.mark.parametrize("host", ["east.openai.azure.com", "hub.services.ai.azure.com", "apim.example/azure"])
@pytest.mark.parametrize("tail", PASTED)
def test_an_azure_endpoint_may_be_pasted_from_the_portal(tail: str, host: str) -> None:
    settings = AzureSettings.model_validate(AZURE | {"endpoint": f"https://{host}{tail}"})
    assert settings.endpoint == f"https://{host}"
    assert (settings.chosen_api, settings.version) == PASTED[tail]


def test_what_the_file_says_wins_over_what_a_pasted_endpoint_says() -> None:
    pasted = "https://east.openai.azure.com/openai/deployments/gpt-4o/chat/completions?api-version=2025-01-01-preview"
    settings = AzureSettings.model_validate(AZURE | {"endpoint": pasted, "api": "classic", "api_version": "2024-10-21"})
    assert (settings.chosen_api, settings.version) == ("classic", "2024-10-21")


def test_a_version_without_an_api_stays_classic_and_says_so() -> None:
    silent = AzureSettings.model_validate(AZURE | {"api": "classic", "api_version": "2024-10-21"})
    told = AzureSettings.model_validate(AZURE | {"api_version": "2024-10-21"})
    assert (told.chosen_api, told.version, silent.notes()) == ("classic", "2024-10-21", [])
    assert [note.split(" means ")[0] for note in told.notes()] == ["api_version 2024-10-21 without api"]


def test_a_deployment_in_a_pasted_endpoint_is_told_to_be_unused() -> None:
    pasted = "https://east.openai.azure.com/openai/deployments/gpt-4o"
    (note,) = AzureSettings.model_validate(AZURE | {"endpoint": pasted}).notes()
    assert "gpt-4o" in note
    assert "models" in note


def test_responses_have_no_place_in_the_models_api() -> None:
    with pytest.raises(InputError, match="api: v1"):
        open_adapter("hub", AZURE | {"api": "models"}).instances("o3-pro", RouteSpec(operation="responses"))


def test_a_local_server_needs_no_key() -> None:
    assert find_route(OPENAI).credential is None
    assert find_route(OPENAI | {"api_key_env": "K"}).credential == ApiKey("K", "secret-K")


async def test_a_request_follows_the_route_of_its_instance() -> None:
    transport = RecordingTransport()
    route = Route(Instance("p/a", "a", "a", "p", "p/a"), "http://h", None)
    adapter = RoutedAdapter(lambda model, spec: [route], transport)
    (instance,) = adapter.instances("a", RouteSpec())
    assert await adapter.complete(instance, ChatRequest([]), request_id="r", deadline=1.0) is ANSWER
    await adapter.aclose()
    assert (transport.routes, transport.closed) == ([route], True)


def test_one_deployment_serves_two_models_and_shares_its_limits() -> None:
    adapter = open_adapter("east", AZURE)
    (low,) = adapter.instances("gpt-5-low", RouteSpec(deployments=["gpt-5"]))
    (high,) = adapter.instances("gpt-5-high", RouteSpec(deployments=["gpt-5"]))
    again = adapter.instances("gpt-5-high", RouteSpec(deployments=["gpt-5"]))
    assert (low.name, high.name) == ("east/gpt-5", "east/gpt-5@gpt-5-high")
    assert low.limiter_group == high.limiter_group == "east/gpt-5"
    assert adapter.identity(low) == adapter.identity(high)
    assert list(again) == [high]


def test_one_key_and_deployment_of_a_gateway_serves_two_models_and_shares_its_limits() -> None:
    adapter = open_adapter("lab", GATEWAY)
    low = adapter.instances("low", RouteSpec(keys=["LAB_0", "LAB_1"], deployments=["qwen"]))
    high = adapter.instances("high", RouteSpec(keys=["LAB_0"], deployments=["qwen"]))
    assert names([*low, *high]) == ["lab/key0/low", "lab/key1/low", "lab/key0/high"]
    assert [one.limiter_group for one in (*low, *high)] == ["lab/key0/low", "lab/key1/low", "lab/key0/low"]


def test_the_settings_choose_the_transport() -> None:
    assert isinstance(open_transport(WireSettings(), SURROUNDINGS), NativeTransport)
    assert isinstance(open_transport(WireSettings(transport="sdk"), SURROUNDINGS), SdkTransport)


@pytest.mark.parametrize(
    "address",
    ["", "east", "ftp://east", "https://", "https://:443", "https://user:pw@east", "https://east?api-key=1",
     "https://east:port", f"https://{'a' * 70}.com", "https://east#x"],
)  # fmt: skip
def test_an_address_that_cannot_be_called_is_refused(address: str) -> None:
    for kind, entry, field in ((AzureSettings, AZURE, "endpoint"), (OpenAISettings, OPENAI, "base_url")):
        with pytest.raises(ValidationError, match=field):
            kind.model_validate(entry | {field: address})


@pytest.mark.parametrize(
    ("kind", "entry", "wrong"),
    [
        (AzureSettings, AZURE, {"endpiont": "x"}),
        (AzureSettings, AZURE, {"api_key_env": None}),
        (AzureSettings, AZURE, {"auth": "entra"}),
        (AzureSettings, AZURE, {"api_version": "1&x=2"}),
        (AzureSettings, AZURE, {"timeouts": {"conect_s": 1}}),
        (AzureSettings, AZURE, {"timeouts": {"connect_s": 0}}),
        (GatewaySettings, GATEWAY, {"api_key_envs": []}),
        (GatewaySettings, GATEWAY, {"api_key_envs": ["K0", "K0"]}),
        (OpenAISettings, OPENAI, {"transport": "carrier pigeon"}),
    ],
)
def test_a_setting_that_is_wrong_is_refused(
    kind: type[BaseModel], entry: dict[str, object], wrong: dict[str, object]
) -> None:
    with pytest.raises(ValidationError):
        kind.model_validate(entry | wrong)


def test_a_key_in_the_place_of_its_name_is_refused_and_not_repeated() -> None:
    with pytest.raises(ValidationError, match="NAME of an environment variable") as caught:
        OpenAISettings.model_validate(OPENAI | {"api_key_env": "sk-live-123"})
    assert "sk-live-123" not in str(caught.value)


@pytest.mark.parametrize("secret", ["", "two words", "line\nbreak", "schlüssel"])
def test_a_key_that_no_header_can_carry_is_refused_and_not_repeated(secret: str) -> None:
    with pytest.raises(InputError, match="MY_KEY") as caught:
        check_key(ApiKey("MY_KEY", secret))
    assert not secret or secret not in str(caught.value)


def test_timeouts_are_passed_on() -> None:
    settings = OpenAISettings.model_validate(OPENAI | {"timeouts": {"first_token_s": 600}})
    assert settings.timeouts.as_timeouts().first_token_s == 600
    assert settings.timeouts.as_timeouts().connect_s == 10
