"""Data sets of the Hugging Face hub: `hf://org/set@revision#split`, or `hf://org/set/config@revision#split` if it has several configs.

The files of the split are downloaded once, to the cache of `huggingface_hub`, and then read as any other file. No code of the set is run.
The commit that a revision stands for is part of every file's name, and with it of the fingerprint.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING

from providers.errors import InputError
from providers.suggestion import suggestion

from ..formats.decompression import bare_name

if TYPE_CHECKING:
    from huggingface_hub import HfApi

HUB = "hf://"
FORM = "hf://org/set@revision#split"
_ADDRESS = re.compile(r"hf://([^/@#]+/[^/@#]+)(?:/([^@#]+))?(?:@([^#]+))?(?:#(.+))?")


@dataclass(frozen=True, slots=True)
class HubAddress:
    """The parts of an address."""

    text: str
    repo: str
    config: str | None
    revision: str
    split: str | None

    def with_config(self, config: str) -> str:
        """Write the address with a config."""
        return f"{HUB}{self.repo}/{config}@{self.revision}#{self.split or 'test'}"

    def with_split(self, split: str) -> str:
        """Write the address with a split."""
        config = f"/{self.config}" if self.config else ""
        return f"{HUB}{self.repo}{config}@{self.revision}#{split}"


@dataclass(frozen=True, slots=True)
class HubFiles:
    """What a revision of a data set holds."""

    commit: str
    names: Sequence[str]
    configs: Mapping[str, Mapping[str, Sequence[str]]]
    """The patterns of the files by config and split, as the set's README declares them; empty where it does not."""
    default: str | None
    """The config that is meant where none is named."""


def parse_address(text: str) -> HubAddress:
    """Parse an address. Raises InputError."""
    match = _ADDRESS.fullmatch(text)
    if match is None:
        raise InputError(f"tasks: {text} is not an address of the Hugging Face hub; write {FORM}")
    repo, config, revision, split = match.groups()
    return HubAddress(text, repo, config, revision or "main", split)


def download(text: str, suffixes: Collection[str]) -> list[tuple[Path, str]]:
    """Download the files of a split; return them with their names for messages. Raises InputError."""
    address = parse_address(text)
    try:
        from huggingface_hub import HfApi
        from huggingface_hub.errors import HTTPError
    except ImportError as error:
        raise InputError(
            f"{text} needs the extra huggingface; pip install 'llm-batch-orchestrator[huggingface]'"
        ) from error
    api = HfApi(library_name="llm-batch-orchestrator")
    try:
        held = _list_files(api, address)
        names = choose_files(address, held, suffixes)
        return [
            (_fetch(api, address, held.commit, name), f"{HUB}{address.repo}@{held.commit}/{name}") for name in names
        ]
    except (HTTPError, OSError) as error:
        raise InputError(f"{text}: cannot be downloaded ({_reason(error)}); {_remedy(error)}") from error


def _list_files(api: HfApi, address: HubAddress) -> HubFiles:
    info = api.dataset_info(address.repo, revision=address.revision)
    card = info.card_data.to_dict() if info.card_data else {}
    configs = card.get("configs") or []
    declared = {str(config["config_name"]): _patterns(config.get("data_files")) for config in configs}
    defaults = [str(config["config_name"]) for config in configs if config.get("default")]
    names = sorted(sibling.rfilename for sibling in info.siblings or ())
    return HubFiles(str(info.sha), names, declared, next(iter(defaults), None))


def _patterns(data_files: object) -> dict[str, list[str]]:
    """Return the patterns by split of a config's `data_files`, in any of the forms that the hub allows."""
    if isinstance(data_files, str):
        return {"train": [data_files]}
    splits: dict[str, list[str]] = {}
    for entry in data_files if isinstance(data_files, list) else ():
        split, paths = (entry.get("split", "train"), entry.get("path")) if isinstance(entry, dict) else ("train", entry)
        splits.setdefault(str(split), []).extend([paths] if isinstance(paths, str) else paths or [])
    return splits


def choose_files(address: HubAddress, held: HubFiles, suffixes: Collection[str]) -> list[str]:
    """Choose the files of the config and the split. Raises InputError with what there is."""
    splits = _splits_of(address, held)
    patterns = splits[_chosen_split(address, splits)] if splits else _guessed(address, held)
    names = [name for name in held.names if any(fnmatch(name, pattern) for pattern in patterns)]
    names = [name for name in names if bare_name(Path(name)).suffix.lower() in suffixes]
    if not names:
        shown = ", ".join(held.names[:5]) or "nothing"
        raise InputError(
            f"{address.text}: no file of this split can be read (the set holds {shown}); try the revision refs/convert/parquet"
        )
    return names


def _splits_of(address: HubAddress, held: HubFiles) -> Mapping[str, Sequence[str]] | None:
    """Return the splits of the config; None where the set declares no configs."""
    if not held.configs:
        return None
    if address.config is not None:
        if address.config not in held.configs:
            raise InputError(
                f'{address.text}: has no config "{address.config}"; {suggestion(address.config, held.configs)}'
            )
        return held.configs[address.config]
    default = held.default or ("default" if "default" in held.configs else None)
    if default is None and len(held.configs) > 1:
        example = address.with_config(next(iter(held.configs)))
        raise InputError(f"{address.text}: has the configs {', '.join(held.configs)}; name one: {example}")
    return held.configs[default or next(iter(held.configs))]


def _chosen_split(address: HubAddress, splits: Mapping[str, Sequence[str]]) -> str:
    if address.split is not None and address.split in splits:
        return address.split
    if address.split is not None:
        raise InputError(f'{address.text}: has no split "{address.split}"; {suggestion(address.split, splits)}')
    if len(splits) == 1:
        return next(iter(splits))
    raise InputError(
        f"{address.text}: has the splits {', '.join(splits)}; name one: {address.with_split(next(iter(splits)))}"
    )


def _guessed(address: HubAddress, held: HubFiles) -> list[str]:
    """Return the names of the files that bear the split's name, where the set declares nothing. Raises InputError."""
    if address.split is None:
        raise InputError(f"{address.text}: name the split: {address.with_split('test')}")
    word = re.compile(rf"(?:^|[/_.-]){re.escape(address.split)}(?:[/_.-]|$)")
    within = f"{address.config}/" if address.config else ""
    names = [name for name in held.names if name.startswith(within) and word.search(name)]
    folders = sorted({name.split("/")[0] for name in names if "/" in name} - {"data", address.split})
    if len(folders) > 1 and not address.config:
        raise InputError(
            f"{address.text}: has the configs {', '.join(folders)}; name one: {address.with_config(folders[0])}"
        )
    return names


def _fetch(api: HfApi, address: HubAddress, commit: str, name: str) -> Path:
    return Path(api.hf_hub_download(address.repo, name, repo_type="dataset", revision=commit))


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


def _remedy(error: Exception) -> str:
    kind = type(error).__name__
    if kind == "GatedRepoError":
        return "accept its terms on huggingface.co, and set HF_TOKEN"
    if kind in {"RepositoryNotFoundError", "RevisionNotFoundError"}:
        return "check the name and the revision, and set HF_TOKEN if it is private"
    return "check the connection, or download it and name the folder"
