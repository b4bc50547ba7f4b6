"""A Hub on disk: the client's calls that the package makes, without a network."""

from __future__ import annotations

import fnmatch
import shutil
from types import SimpleNamespace

import httpx2
from huggingface_hub import errors


def refusal(kind, status=404):
    """An error of the client, as the Hub's answer makes it."""
    request = httpx2.Request("GET", "https://huggingface.co/api/models/x")
    return kind("Client Error.\n\nSay more.", response=httpx2.Response(status, request=request))


class Hub:
    """Repositories as folders under `root`; each call of the client is noted in `calls`."""

    def __init__(self, root):
        self.root, self.calls, self.private, self.down = root, [], set(), None

    def api(self, **settings):
        assert settings == {"library_name": "discrete_ca"}
        return SimpleNamespace(
            create_repo=self.create_repo, repo_info=self.repo_info,
            create_branch=self.create_branch, upload_folder=self.upload_folder,
            snapshot_download=self.snapshot_download,
        )  # fmt: skip

    def place(self, repo_id, revision=None):
        return self.root / repo_id / (revision or "main")

    def note(self, name):
        self.calls.append(name)
        if self.down is not None:
            raise self.down

    def create_repo(self, repo_id, private=None, exist_ok=False):
        self.note("create_repo")
        if not self.place(repo_id).exists():
            self.place(repo_id).mkdir(parents=True)
            if private:
                self.private.add(repo_id)
        else:
            assert exist_ok

    def repo_info(self, repo_id):
        self.note("repo_info")
        return SimpleNamespace(private=repo_id in self.private)

    def create_branch(self, repo_id, branch, exist_ok=False):
        self.note("create_branch")
        self.place(repo_id, branch).mkdir(exist_ok=exist_ok)

    def upload_folder(self, repo_id, folder_path, revision, delete_patterns, commit_message):
        self.note("upload_folder")
        place = self.place(repo_id, revision)
        for file in list(place.iterdir()):
            if any(fnmatch.fnmatch(file.name, pattern) for pattern in delete_patterns):
                file.unlink()
        shutil.copytree(folder_path, place, dirs_exist_ok=True)
        self.message = commit_message
        return SimpleNamespace(commit_url=f"https://huggingface.co/{repo_id}/commit/1")

    def snapshot_download(self, repo_id, revision=None, allow_patterns=None):
        self.note("snapshot_download")
        if not (self.root / repo_id).exists():
            raise refusal(errors.RepositoryNotFoundError, 401)
        if not self.place(repo_id, revision).exists():
            raise refusal(errors.RevisionNotFoundError)
        cache = self.root / "cache" / repo_id / (revision or "main")
        shutil.rmtree(cache, ignore_errors=True)
        cache.mkdir(parents=True)
        for file in self.place(repo_id, revision).iterdir():
            if any(fnmatch.fnmatch(file.name, pattern) for pattern in allow_patterns):
                shutil.copy(file, cache)
        return str(cache)
