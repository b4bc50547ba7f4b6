"""Folders of the Hugging Face Hub: a kernel's folder is fetched by its name, and sent there.

The format is that of a folder on disk. `huggingface_hub` is imported when a name is met that is no
local path, and not before; who is logged in, where the cache is and whether the network may be used
are its own settings (``hf auth login``, ``HF_HOME``, ``HF_HUB_OFFLINE``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from discrete_ca.errors import CheckpointError
from discrete_ca.serialization import CONFIG_FILE, PACKAGE, TOKENIZER_FILE, WEIGHTS_FILE

if TYPE_CHECKING:
    from huggingface_hub import HfApi

CARD_FILE, RUN_FILE = "README.md", "run.json"
EVAL_FILE = "eval.json"
MEASURED = ("metrics.json", EVAL_FILE)
"""Reports of measurements, in the order in which a card shows them."""

_OURS = (CONFIG_FILE, WEIGHTS_FILE, TOKENIZER_FILE, RUN_FILE, *MEASURED, CARD_FILE)
_NAME = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")


def is_name(text: str) -> bool:
    """Whether this has the form of a name on the Hub, "user/name".

    Example:
        >>> is_name("user/name"), is_name("runs/x/model"), is_name("name")
        (True, False, False)
    """
    return _NAME.fullmatch(text) is not None


def check_name(repo_id: str) -> None:
    """Refuse what cannot be a name on the Hub, without a network.

    Raises:
        CheckpointError: for anything but "user/name" in the Hub's characters.
    """
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

    if not isinstance(repo_id, str) or not is_name(repo_id):
        raise CheckpointError(f"repo_id was {repo_id!r}; allowed: 'user/name'")
    with _asking(f"'{repo_id}' is no name on the Hub"):
        validate_repo_id(repo_id)


def local_folder(path: str | Path, revision: str | None = None) -> Path:
    """The folder itself, or where the Hub's folder of that name lies after it was fetched.

    A path that exists, a `Path`, and any text but "user/name" are local and touch no network. Of
    the Hub's folder only the config, the weights, the tokenizer and run.json are fetched; what the
    cache holds is not fetched again, and serves where the Hub cannot be reached.

    Args:
        path: a folder, or a name on the Hub.
        revision: a branch, tag or commit on the Hub; None for its main branch.

    Raises:
        CheckpointError: for a name that cannot be fetched or holds no config, and for a revision
            of a local path.
    """
    place = Path(path)
    if isinstance(path, Path) or place.exists() or not is_name(path):
        if revision is not None:
            raise CheckpointError(
                f"revision was {revision!r} and '{path}' is local; allowed: None, or 'user/name' "
                "on the Hub"
            )
        return place
    check_name(path)
    with _asking(f"there is no folder '{path}', and fetching it from the Hub failed", revision):
        patterns = [CONFIG_FILE, WEIGHTS_FILE, TOKENIZER_FILE, RUN_FILE]
        found = Path(_api().snapshot_download(path, revision=revision, allow_patterns=patterns))
    if not (found / CONFIG_FILE).exists():
        raise CheckpointError(f"'{path}' on the Hub has no {CONFIG_FILE}; allowed: a saved kernel")
    return found


def upload(
    folder: Path,
    repo_id: str,
    *,
    private: bool | None = None,
    revision: str | None = None,
    message: str | None = None,
) -> str:
    """Send the files of a folder to the Hub, where the repository is made if there is none.

    Files of this package that an earlier upload left and this one does not have are removed there;
    anything else stays.

    Args:
        folder: the files.
        repo_id: "user/name".
        private: make a new repository private; None for the account's default.
        revision: the branch, made if there is none; None for the main one.
        message: of the commit.

    Returns:
        The address of the commit.

    Raises:
        CheckpointError: where that fails, or `private` is asked of a repository that is public.
    """
    check_name(repo_id)
    with _asking(f"sending '{repo_id}' to the Hub failed", revision):
        api = _api()
        api.create_repo(repo_id, private=private, exist_ok=True)
        if private and not api.repo_info(repo_id).private:  # create_repo says nothing of it
            raise CheckpointError(
                f"private was True, but '{repo_id}' is there already and is public; allowed: a new "
                "name. Nothing was sent"
            )
        if revision is not None:
            api.create_branch(repo_id, branch=revision, exist_ok=True)
        commit: Any = api.upload_folder(
            repo_id=repo_id, folder_path=folder, revision=revision, delete_patterns=[*_OURS],
            commit_message=message or f"A kernel of {PACKAGE}",
        )  # fmt: skip
    return str(commit.commit_url)


def _api() -> HfApi:
    from huggingface_hub import HfApi

    return HfApi(library_name=PACKAGE)


@contextmanager
def _asking(what: str, revision: str | None = None) -> Iterator[None]:
    """Turn whatever the client raises into a CheckpointError with the reason."""
    from huggingface_hub import errors

    try:
        yield
    except CheckpointError:
        raise
    except Exception as error:  # names, accounts, networks: the client has many errors of its own
        if isinstance(error, errors.GatedRepoError):
            reason = "access has to be asked for on its page"
        elif isinstance(error, errors.RepositoryNotFoundError):
            reason = "there is none of that name, or it is private and you are not logged in to it"
        elif isinstance(error, errors.RevisionNotFoundError):
            reason = f"it has no revision {revision!r}"
        elif isinstance(error, errors.LocalEntryNotFoundError):
            reason = "the Hub cannot be reached, and the cache does not hold it"
        else:
            reason = " ".join(str(error).split()) or type(error).__name__
        raise CheckpointError(f"{what}: {reason}") from error
