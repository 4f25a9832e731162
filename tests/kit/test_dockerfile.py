"""The reader of Dockerfiles, which the tests of the image count on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.kit.dockerfile import expanded, instructions, sent

if TYPE_CHECKING:
    from pathlib import Path

TEXT = r"""
# a comment
ARG BASE=debian:12
FROM ${BASE} AS first
RUN --mount=type=cache,target=/c --mount=type=secret,id=s echo a \
# a comment between the lines
 && echo "$HOME"
ENV A=1 \
    B="two words"
HEALTHCHECK --interval=5s --retries=2 CMD ["x", \
    "y"]
"""


def test_lines_that_go_on_flags_and_both_forms() -> None:
    arg, begins, run, env, health = instructions(TEXT)
    assert (arg.name, arg.rest, arg.line) == ("ARG", "BASE=debian:12", 3)
    assert begins.words({"BASE": "scratch"}) == ["scratch", "AS", "first"]
    assert (run.rest, run.listed) == ('echo a  && echo "$HOME"', None)
    assert run.flags == {"mount": "type=cache,target=/c type=secret,id=s"}
    assert env.pairs({}) == {"A": "1", "B": "two words"}
    assert health.flags == {"interval": "5s", "retries": "2"}
    assert health.rest.startswith("CMD [")


def test_an_instruction_that_is_not_known_is_not_passed_over() -> None:
    with pytest.raises(ValueError, match="line 2: ONBUILD is no instruction"):
        list(instructions("FROM a\nONBUILD RUN b\n"))


def test_variables_and_their_defaults() -> None:
    assert expanded("$A-${B}-${C:-c}-${D}.", {"A": "a", "B": "b"}) == "a-b-c-."


def test_the_last_rule_that_matches_decides_what_the_build_sees(tmp_path: Path) -> None:
    for name in ("keep/a.py", "keep/__pycache__/a.pyc", "keep/deep/b.pyc", "secret/key", "README.md", "x.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / ".dockerignore").write_text("# all but\n*\n!keep\n!README.md\n**/__pycache__\n**/*.py[co]\n")
    assert [str(path) for path in sent(tmp_path)] == ["README.md", "keep/a.py"]
