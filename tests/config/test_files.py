"""Secrets and certificates: files that a policy file names."""

from __future__ import annotations

import os
from hashlib import sha256
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from sidecar import config
from sidecar.config.files import LARGEST, digest, read, read_files
from sidecar.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path


def header(value: Any) -> dict[str, Any]:
    return {"upstreams": {"a": {"headers": {"X-Key": value}}}}


def test_a_secret_is_read_without_its_line_break(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b" hunter2 \r\n")
    document = header({"file": "key"})
    files = read_files(document, tmp_path)
    assert document == header(" hunter2 ")
    assert files.hidden == {("upstreams", "a", "headers", "X-Key")}
    assert (list(files.digests), files.problems) == ([str(tmp_path / "key")], [])


@pytest.mark.parametrize(
    "place",
    [
        ("listen", "http_token"),
        ("admin", "token"),
        ("redis", "url"),
        ("upstreams", "a", "api_key"),
        ("upstreams", "a", "default_headers", "X"),
        ("upstreams", "a", "query", "v"),
        ("static", "s", "headers", "X"),
    ],
)
def test_where_a_secret_may_stand(tmp_path: Path, place: tuple[str, ...]) -> None:
    (tmp_path / "key").write_text("k")
    value: Any = {"file": str(tmp_path / "key")}
    for part in reversed(place):
        value = {part: value}
    assert read_files(value, tmp_path).hidden == {place}


def test_a_header_named_file_is_no_secret(tmp_path: Path) -> None:
    document = {"upstreams": {"a": {"headers": {"file": "x"}}}}
    assert read_files(document, tmp_path).digests == {}
    assert document == {"upstreams": {"a": {"headers": {"file": "x"}}}}


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "No such file or directory"),
        (b"", "it is empty"),
        (b"\n", "it is empty"),
        (b"\xff\xfe", "it is not UTF-8 text"),
        (b"x" * 70_000, "it is longer than 65536 bytes"),
    ],
)
def test_a_secret_that_cannot_be_read(tmp_path: Path, content: bytes | None, problem: str) -> None:
    if content is not None:
        (tmp_path / "key").write_bytes(content)
    document = header({"file": "key"})
    files = read_files(document, tmp_path)
    assert [one.problem for one in files.problems] == [f"cannot read {tmp_path / 'key'}: {problem}"]
    assert document == {"upstreams": {"a": {"headers": {}}}}


@pytest.mark.parametrize("value", [{}, {"file": 3}, {"file": "a", "b": 1}, {"fil": "a"}, {"file": "a\0b"}])
def test_a_table_that_is_no_secret(tmp_path: Path, value: Any) -> None:
    (problem,) = read_files(header(value), tmp_path).problems
    assert problem.problem == "is neither text nor a secret"


def test_certificates_must_be_there_and_get_a_whole_path(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").touch()
    document = {"upstreams": {"a": {"tls": {"ca": "ca.pem", "cert": "none.pem", "key": ""}}}}
    files = read_files(document, tmp_path)
    assert document["upstreams"]["a"]["tls"]["ca"] == str(tmp_path / "ca.pem")
    assert [one.problem for one in files.problems] == [f"there is no file {tmp_path / 'none.pem'}"]
    assert files.digests == {str(tmp_path / "ca.pem"): sha256(b"").hexdigest(), str(tmp_path / "none.pem"): ""}


def test_a_name_that_no_file_can_have(tmp_path: Path) -> None:
    document = {"upstreams": {"a": {"tls": {"ca": "a\0b", "cert": "x" * 300}}}}
    files = read_files(document, tmp_path)
    assert [one.problem for one in files.problems] == ["names no file", f"there is no file {tmp_path / ('x' * 300)}"]
    assert list(files.digests) == [str(tmp_path / ("x" * 300))]


def test_a_policy_file_knows_its_files(tmp_path: Path) -> None:
    path = tmp_path / "sidecar.toml"
    path.write_text('[admin]\ntoken = { file = "${NAME}" }\n')
    (tmp_path / "token").write_text("hunter2\n")
    loaded = config.load(path, {"NAME": "token"})
    assert loaded.settings.admin.token == "hunter2"
    assert loaded.files == {str(tmp_path / "token"): sha256(b"hunter2\n").hexdigest()}
    assert ("admin", "token") in loaded.secrets
    assert "hunter2" not in repr(loaded.settings)


def test_a_secret_renewed_while_it_is_read_is_known_as_what_was_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else what was taken would look as if it had changed once more."""
    (tmp_path / "key").write_text("value 0")
    readings = count(1)

    def renewed_after(path: Path) -> bytes:
        content = read(path)
        path.write_text(f"value {next(readings)}")
        return content

    monkeypatch.setattr("sidecar.config.files.read", renewed_after)
    document = header({"file": "key"})
    found = read_files(document, tmp_path)
    value = document["upstreams"]["a"]["headers"]["X-Key"]
    assert found.digests == {str(tmp_path / "key"): sha256(value.encode()).hexdigest()}


@pytest.mark.parametrize("first", [None, "", "old"])
@pytest.mark.parametrize("place", [("headers", "X-Key"), ("tls", "ca")])
def test_a_file_that_comes_while_it_is_read_is_the_same_in_all_places(
    first: str | None, place: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else its digest could be that of the new text, though another place had the old one or none: never taken then."""
    file = tmp_path / "key"
    if first is not None:
        file.write_text(first)

    def renewed_after(path: Path) -> bytes:
        try:
            return read(path)
        finally:
            path.write_text("new")

    monkeypatch.setattr("sidecar.config.files.read", renewed_after)
    section, key = place
    named = str(file) if section == "tls" else {"file": str(file)}
    document: Any = {"upstreams": {name: {section: {key: named}} for name in "abc"}}
    found = read_files(document, tmp_path)
    assert found.digests == {str(file): "" if first is None else sha256(first.encode()).hexdigest()}
    bad = first is None if section == "tls" else not first
    assert len({one.problem for one in found.problems}) == bad
    assert len(found.problems) == 3 * bad
    if not bad and section == "headers":
        assert {one["headers"][key] for one in document["upstreams"].values()} == {first}


def test_the_address_of_a_redis_is_a_secret_as_it_has_a_password(tmp_path: Path) -> None:
    path = tmp_path / "sidecar.toml"
    path.write_text('[redis]\nurl = { file = "redis" }\n')
    (tmp_path / "redis").write_text("redis://:hunter2@store:6379/0\n")
    loaded = config.load(path, {})
    assert loaded.settings.redis.url == "redis://:hunter2@store:6379/0"
    assert "hunter2" not in f"{loaded.settings!r} {config.redacted(loaded)}"
    (tmp_path / "redis").write_text("http://:hunter2@store:6379/0\n")
    with pytest.raises(ConfigError, match="cannot have the scheme") as raised:
        config.load(path, {})
    assert "hunter2" not in str(raised.value)


def test_a_secret_that_is_no_header_value(tmp_path: Path) -> None:
    path = tmp_path / "sidecar.toml"
    path.write_text('[upstreams.a]\nurl = "http://a"\nheaders = { X = { file = "key" } }\n')
    (tmp_path / "key").write_text("a\nInjected: b")
    with pytest.raises(ConfigError, match="a header value cannot hold control characters"):
        config.load(path, {})


def test_a_pipe_is_no_file_and_nobody_waits_for_it(tmp_path: Path) -> None:
    """Who opens one waits until somebody writes: a thread that does so for ever does not let the process end."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(OSError, match="it is a pipe or a device, no file"):
        read(pipe)
    assert digest(pipe) == ""
    files = read_files(header({"file": "pipe"}), tmp_path)
    assert [one.problem for one in files.problems] == [f"cannot read {pipe}: it is a pipe or a device, no file"]


def test_a_file_that_is_too_long_is_not_read_to_its_end(tmp_path: Path) -> None:
    file = tmp_path / "x"
    file.write_bytes(b"x" * LARGEST)
    assert digest(file) == sha256(read(file)).hexdigest()
    file.write_bytes(b"x" * (LARGEST + 1))
    with pytest.raises(OSError, match=f"it is longer than {LARGEST} bytes"):
        read(file)
    assert digest(file) == ""
