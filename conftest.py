"""Runs the code blocks of the README and the documentation as tests."""

import shlex

import pytest
from sybil import Sybil
from sybil.parsers.markdown import CodeBlockParser, PythonCodeBlockParser, SkipParser


class ConsoleParser(CodeBlockParser):
    """Runs the lines ``$ discrete-ca ...`` of console blocks; each must succeed."""

    language = "console"

    def evaluate(self, example):
        from discrete_ca.cli import main

        for line in example.parsed.replace("\\\n", " ").splitlines():
            prompt, *words = shlex.split(line, comments=True) or [""]
            if prompt == "$":
                assert words[0] == "discrete-ca", f"cannot run {line!r}"
                assert main(words[1:]) == 0, f"{line!r} failed"


@pytest.fixture(scope="module")
def in_temporary_folder(tmp_path_factory, monkeypatch_module):
    monkeypatch_module.chdir(tmp_path_factory.mktemp("docs"))


@pytest.fixture(scope="module")
def monkeypatch_module():
    with pytest.MonkeyPatch.context() as patch:
        yield patch


pytest_collect_file = Sybil(
    parsers=[PythonCodeBlockParser(), ConsoleParser(), SkipParser()],
    patterns=["README.md", "docs/*.md"],
    fixtures=["in_temporary_folder"],
).pytest()
