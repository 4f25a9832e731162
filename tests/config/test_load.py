"""The policy file: found, trusted, read, refused with all its mistakes at once."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar import config
from sidecar.errors import ConfigError
from tests.kit.policy_file import ROUTED, load, mistake, mistakes

if TYPE_CHECKING:
    from collections.abc import Mapping


def test_a_file_becomes_settings_with_its_text_and_hash(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    content = f"# é\r\n{ROUTED}".encode()
    path.write_bytes(content)
    loaded = config.load(path, {})
    assert loaded.settings.upstreams["a"].url == "http://127.0.0.1:1"
    assert loaded.text.encode() == content
    assert loaded.hash == hashlib.sha256(content).hexdigest()
    assert loaded.path == path


def test_an_empty_file_is_all_defaults() -> None:
    assert load("").settings == type(load("").settings)()


def test_it_knows_the_line_of_each_key() -> None:
    assert load(ROUTED).lines[("routes", "r", "match", "path")] == 5


def test_all_mistakes_are_told_at_once_and_by_line() -> None:
    found = mistakes(
        """
[listen]
http = "localhost"
[limits]
max_headers = "12"
drain = "5 sec"
[policies.default.retry]
tries = 0
jitter = "${MISSING}"
[upstreams.a]
urll = "http://a"
headers = { Host = "x", Bad = "a\\u000ab" }
[routes.r]
match = { path = "a" }
chain = ["b", "a"]
cache = {}
"""
    )
    assert [(one.line, one.key) for one in found] == [
        (3, "listen.http"),
        (5, "limits.max_headers"),
        (6, "limits.drain"),
        (8, "policies.default.retry.tries"),
        (9, "policies.default.retry.jitter"),
        (11, "upstreams.a.urll"),
        (12, "upstreams.a.headers.Bad"),
        (12, "upstreams.a.headers.Host"),
        (14, "routes.r.match.path"),
        (15, "routes.r.chain[0]"),
        (16, "routes.r.cache"),
    ]


def test_a_mistake_says_what_is_allowed_and_what_was_probably_meant() -> None:
    found = mistake(f'{ROUTED}[telemetry]\nlog_level = "warn"')
    assert str(found).endswith(
        "sidecar.toml:8: telemetry.log_level: is not one of the allowed values"
        " (allowed: debug, info, warning, error) (did you mean 'warning'?)"
    )


def test_what_follows_from_a_mistake_is_not_told_as_well() -> None:
    """Without its URL the upstream would have none, without its chain the route would lead nowhere."""
    assert [one.key for one in mistakes(ROUTED.replace('"http://127.0.0.1:1"', "3"))] == ["upstreams.a.url"]
    assert [one.key for one in mistakes(ROUTED.replace('["a"]', '"a"'))] == ["routes.r.chain"]
    assert [one.key for one in mistakes(ROUTED.replace('"/*"', "1"))] == ["routes.r.match.path"]


def test_a_route_may_name_an_upstream_that_has_mistakes() -> None:
    assert [one.key for one in mistakes(ROUTED.replace('url = "http://127.0.0.1:1"', "polisy = 1\nurl = 3"))] == [
        "upstreams.a.polisy",
        "upstreams.a.url",
    ]
    assert [one.key for one in mistakes(ROUTED.replace("[upstreams.a]\n", "[upstreams]\na = 3\n#"))] == ["upstreams.a"]


@pytest.mark.parametrize("section", ["upstreams", "routes", "listen", "policies", "redis"])
def test_a_section_of_another_kind_is_a_mistake(section: str) -> None:
    found = mistakes(f"{section} = 3")
    assert found[0].key == section


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("a = 1\nb = = 2\n", 2, "is not TOML"),
        ("a = 1\na = 2\n", 2, "is not TOML"),
        ('a = """\n\n', 1, "is not TOML"),
        ("\n\n[a", 3, "is not TOML"),
        (f"a = {'[' * 5000}{']' * 5000}", 0, "is nested too deeply"),
    ],
)
def test_what_is_not_toml_is_a_mistake_with_its_line(text: str, line: int, problem: str) -> None:
    found = mistake(text)
    assert (found.line, found.key) == (line, "")
    assert problem in found.problem


def test_what_is_not_utf_8_is_a_mistake_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_bytes(b"a = 1\nb = '\xff'\n")
    with pytest.raises(ConfigError, match=r"x\.toml:2: is not UTF-8"):
        config.load(path, {})


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_bytes(b"\xef\xbb\xbf[limits]\r\nmax_headers = 7\r\n")
    assert config.load(path, {}).settings.limits.max_headers == 7


def test_what_a_pipe_gives_is_read_once(tmp_path: Path) -> None:
    """As `<(...)` of a shell. Read again it would be waited for."""
    reader, writer = os.pipe()
    os.write(writer, b"[limits]\nmax_headers = 7\n")
    os.close(writer)
    try:
        path = Path(f"/dev/fd/{reader}")
        assert config.load(path, {}).settings.limits.max_headers == 7
        with pytest.raises(ConfigError, match="cannot be read: it is a pipe or a device, no file"):
            config.load(path, {}, pipes=False)
    finally:
        os.close(reader)


def test_a_file_that_is_not_there_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        config.load(tmp_path / "none.toml", {})


@pytest.mark.parametrize(
    ("line", "environ"),
    [
        ("limits.max_headers = '${N}'", {"N": "50"}),
        ("limits.max_body_bytes = '${N}'", {"N": "1MiB"}),
        ("limits.drain = '${N}'", {"N": "250ms"}),
        ("limits.drain = '${N:-7}'", {}),
        ("telemetry.server_timing = '${N}'", {"N": "true"}),
        ("telemetry.access_log_sample = '${N}'", {"N": "0.5"}),
        ("telemetry.log_level = '${N}'", {"N": "debug"}),
        ("listen.hosts = '${N}'", {"N": "a.example, b.example"}),
        ("policies.p.circuit_breaker = '${N}'", {"N": "false"}),
    ],
)
def test_a_variable_takes_the_type_of_its_key(line: str, environ: Mapping[str, str]) -> None:
    load(line, environ)


@pytest.mark.parametrize("text", ["", "five", "5.5", "1e9", "0x5", "\u0665"])
def test_a_variable_that_is_not_of_the_type_is_a_mistake(text: str) -> None:
    found = mistake("limits.max_headers = '${N}'", {"N": text})
    assert (found.key, found.problem) == ("limits.max_headers", "must be a whole number")


def test_a_quoted_number_is_text() -> None:
    assert mistake("limits.max_headers = '50'").problem == "must be a whole number, not text"


def test_a_missing_variable_names_key_and_variable() -> None:
    found = mistake("limits.max_headers = '${HEADERS}'", {"HEADER": "5"})
    assert (found.key, found.problem, found.nearest) == (
        "limits.max_headers",
        "the variable HEADERS is not set",
        "HEADER",
    )


def test_a_mistake_never_shows_a_value() -> None:
    text = f"{ROUTED}[admin]\ntoken = '${{SECRET}}'\n[limits]\nmax_headers = '${{SECRET}}'\ndrain = '${{SECRET}}'"
    assert "hunter2" not in "".join(map(str, mistakes(text, {"SECRET": "hunter2 "})))


@pytest.mark.parametrize("url", ["hunter2", "http://me:hunter2/3@host", "http://[hunter2/"])
def test_neither_does_what_was_probably_meant_instead(url: str) -> None:
    found = mistake("upstreams.a.url = '${SECRET}'", {"SECRET": url})
    assert (found.key, found.problem, found.nearest) == ("upstreams.a.url", "is not a URL", "")
    assert "hunter2" not in str(found)
    assert mistake("upstreams.a.url = 'host:80'", {}).nearest == "http://host:80"


def test_a_word_that_is_allowed_may_be_meant_whatever_the_value_came_from() -> None:
    assert mistake("telemetry.log_level = '${LEVEL:-inof}'", {}).nearest == "info"


TEXTS = ["", "a", "5s", "${X:-1}", "static/a", "http://a", "/*"]
VALUES = st.recursive(
    st.one_of(st.integers(-1, 9), st.booleans(), st.sampled_from(TEXTS)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=2), st.dictionaries(st.sampled_from(["path", "url", "file", "a"]), inner, max_size=2)
    ),
    max_leaves=4,
)
PLACES = """
    listen listen.http upstreams.a upstreams.a.url upstreams.a.headers upstreams.a.timeout routes.a routes.a.match
    routes.a.chain routes.a.traffic routes.a.rate_limit policies.a policies.default.circuit_breaker
    limits.drain models.a.chain static.a faults redis admin.token
"""


def toml(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int) else f"'{value}'"


@given(st.dictionaries(st.sampled_from(PLACES.split()), VALUES, max_size=4))
def test_any_file_is_either_right_or_refused(lines: dict[str, object]) -> None:
    places = [place for place in lines if not any(other.startswith(f"{place}.") for other in lines)]
    told: list[int] = []
    try:
        config.redacted(load("\n".join(f"{place} = {toml(lines[place])}" for place in places)))
    except ConfigError as error:
        told = [one.line for one in error.mistakes] or [0]
    assert told == sorted(told)
    assert 0 not in told


def test_what_is_named_is_taken_without_a_look(tmp_path: Path) -> None:
    assert config.find("x.toml", {"SIDECAR_CONFIG": "y.toml"}, tmp_path) == Path("x.toml")
    assert config.find(None, {"SIDECAR_CONFIG": "y.toml"}, tmp_path) == Path("y.toml")


def test_else_the_folders_own_file_is_taken(tmp_path: Path) -> None:
    assert config.find(None, {"SIDECAR_CONFIG": ""}, tmp_path) is None
    path = tmp_path / "sidecar.toml"
    path.touch(0o644)
    assert config.find(None, {}, tmp_path) == path


@pytest.mark.parametrize("mode", [0o646, 0o666])
def test_a_file_that_others_may_write_to_is_not_taken(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "sidecar.toml"
    path.touch()
    path.chmod(mode)
    with pytest.raises(ConfigError, match="others may write to it: chmod go-w"):
        config.find(None, {}, tmp_path)
    assert config.find(str(path), {}, tmp_path) == path


class Facts:
    """What `stat` would say."""

    def __init__(self, uid: int, gid: int, mode: int) -> None:
        self.st_uid = uid
        self.st_gid = gid
        self.st_mode = mode | 0o100000


@pytest.mark.parametrize(
    ("facts", "trusted"),
    [
        (Facts(1000, 1000, 0o644), True),
        (Facts(1000, 1000, 0o664), True),
        (Facts(1000, 50, 0o664), False),
        (Facts(1000, 1000, 0o646), False),
        (Facts(0, 0, 0o644), True),
        (Facts(1001, 1001, 0o644), False),
    ],
)
def test_whose_file_is_trusted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, facts: Facts, trusted: bool) -> None:
    (tmp_path / "sidecar.toml").touch()
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(Path, "stat", lambda *_, **__: facts)
    monkeypatch.setattr(Path, "lstat", lambda _: facts)
    if trusted:
        assert config.find(None, {}, tmp_path)
    else:
        with pytest.raises(ConfigError, match="-c if you trust it"):
            config.find(None, {}, tmp_path)


def test_a_link_is_as_good_as_what_it_leads_to(tmp_path: Path) -> None:
    target = tmp_path / "target.toml"
    target.touch(0o600)
    (tmp_path / "sidecar.toml").symlink_to(target)
    assert config.find(None, {}, tmp_path)
    target.chmod(0o602)
    with pytest.raises(ConfigError, match="others may write"):
        config.find(None, {}, tmp_path)
