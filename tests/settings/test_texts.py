"""Text with a shape."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from sidecar.settings import texts


def read(kind: Any, value: str) -> Any:
    return TypeAdapter(kind).validate_python(value)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (texts.Url, "http://a"),
        (texts.Url, "https://a.b:8443/base/path"),
        (texts.Url, "http://[::1]:80"),
        (texts.Url, "grpcs://a:1"),
        (texts.Url, "unix:/run/a.sock"),
        (texts.ProxyUrl, "http://me:pw@proxy:3128"),
        (texts.ProxyUrl, ""),
        (texts.RedisUrl, "rediss://:pw@h:6379/0"),
        (texts.OtlpUrl, "http://127.0.0.1:4318"),
        (texts.Origin, "http://localhost:3000"),
        (texts.Host, "a-b.example"),
        (texts.Host, "[::1]"),
        (texts.PathPattern, "/"),
        (texts.PathPattern, "/*"),
        (texts.PathPattern, "/a%20b/c;d=e/*"),
        (texts.Prefix, ""),
        (texts.Prefix, "/a/b"),
        (texts.Rewrite, "/"),
        (texts.Method, "PROPFIND"),
        (texts.LimitKey, "header:X-Tenant-ID"),
        (texts.LimitKey, "api_key"),
        (texts.Credential, "secret with blanks"),
        (texts.Network, "10.0.0.0/8"),
    ],
)
def test_what_is_taken_stays_as_it_is(kind: Any, text: str) -> None:
    assert read(kind, text) == text


@pytest.mark.parametrize(
    ("kind", "text", "read_as"),
    [
        (texts.Host, "A.Example", "a.example"),
        (texts.Origin, "HTTP://LOCALHOST:3000", "http://localhost:3000"),
        (texts.Network, "10.1.2.3/8", "10.0.0.0/8"),
        (texts.Network, "::1", "::1/128"),
    ],
)
def test_what_has_several_spellings_gets_one(kind: Any, text: str, read_as: str) -> None:
    assert read(kind, text) == read_as


@pytest.mark.parametrize(
    ("kind", "text", "problem"),
    [
        (texts.Url, "", "is not a URL"),
        (texts.Url, "localhost:8080", "is not a URL"),
        (texts.Url, "http://", "has no host"),
        (texts.Url, "http://:80", "has no host"),
        (texts.Url, "http://a:0", "has port 0"),
        (texts.Url, "http://a:99999", "is not a URL"),
        (texts.Url, "http://a:b", "is not a URL"),
        (texts.Url, "http://[::1", "is not a URL"),
        (texts.Url, "http://a?b", "cannot have a query"),
        (texts.Url, "http://a/#", "cannot have a query"),
        (texts.Url, "http://a b", "blanks or control"),
        (texts.Url, "http://a\nb", "blanks or control"),
        (texts.Url, "http://u:p@a", "cannot hold a user"),
        (texts.Url, "unix:run", "names no absolute path"),
        (texts.Url, "unix://run", "names no absolute path"),
        (texts.ProxyUrl, "socks5://a", "cannot have the scheme socks5"),
        (texts.RedisUrl, "http://a", "cannot have the scheme http"),
        (texts.RedisUrl, "redis://a/limits", "names no database by its number"),
        (texts.RedisUrl, "redis://a/0/1", "names no database by its number"),
        (texts.Origin, "http://a/b", "an origin has no path"),
        (texts.Host, "a:80", "is not a host"),
        (texts.Host, "*.a", "is not a host"),
        (texts.Host, "", "is not a host"),
        (texts.PathPattern, "a", "must begin with /"),
        (texts.PathPattern, "", "must begin with /"),
        (texts.PathPattern, "/a*", "may only stand alone"),
        (texts.PathPattern, "/*/a", "may only stand alone"),
        (texts.PathPattern, "/a?b", "is not a path"),
        (texts.PathPattern, "/é", "is not a path"),
        (texts.Prefix, "/a/", "cannot end with /"),
        (texts.Prefix, "/", "cannot end with /"),
        (texts.Rewrite, "a", "must begin with /"),
        (texts.Method, "get", "methods are upper case"),
        (texts.Method, "A B", "is not a method"),
        (texts.LimitKey, "header:", "is not a key"),
        (texts.LimitKey, "header:a b", "is not a key"),
        (texts.LimitKey, "tenant", "is not a key"),
        (texts.Network, "10.0.0.0/40", "is not an address or a network"),
        (texts.Credential, " a", "cannot begin or end with a blank"),
        (texts.Credential, "a\rb", "control characters"),
    ],
)
def test_what_has_not_the_shape(kind: Any, text: str, problem: str) -> None:
    with pytest.raises(ValidationError) as caught:
        read(kind, text)
    (error,) = caught.value.errors()
    assert problem in error["msg"]


@pytest.mark.parametrize("value", ["a\nb: c", "a\r", "\0", "\x7f", "✓"])
def test_a_header_value_smuggles_nothing(value: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(texts.Headers).validate_python({"a": value})


def test_what_may_hold_a_password_is_not_suggested() -> None:
    with pytest.raises(ValidationError) as caught:
        read(texts.ProxyUrl, "me:hunter2@proxy:3128")
    (error,) = caught.value.errors()
    assert error["ctx"]["error"].nearest == ""


def test_a_header_value_may_hold_a_tab_and_any_letter() -> None:
    assert TypeAdapter(texts.Headers).validate_python({"a": "b\tç"})["a"] == "b\tç"
