"""`GET /models` on a route that leads to LLM providers: the models of the policy file, and what the providers list.

Providers are asked one after the other, each by the client that also injects its credential. One
that fails, has no credential, or answers no list is left out: a list that lacks some
is of more use than none.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import unquote

from sidecar.body import Body
from sidecar.call import Facts, Reply, What
from sidecar.dialects.models_list import (
    dialect_of,
    named,
    next_page,
    read_model,
    read_page,
    told,
    write_list,
    write_model,
)
from sidecar.errors import UpstreamError
from sidecar.replies import let_go
from sidecar.upstreams.llm_answer import read_whole
from sidecar.upstreams.transcode_bodies import derived

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sidecar.call import Attempt, Call, Upstream
    from sidecar.llm import Ask, Document

MOST = 1024 * 1024
"""Bytes that are read of each provider's list."""

PAGES = 5
"""So often at most a provider is asked for more: its first page, and 4,000 models."""

PATIENCE = 10.0
"""Seconds for each answer: a provider that is silent must not keep the others' models from the caller."""

_ONE = b"/models/"
_CONDITIONS = frozenset({b"if-none-match", b"if-modified-since", b"range", b"if-range", b"if-match"})
"""Fields that speak of the answer that the caller has got: it is ours, not a provider's."""


class ModelsList:
    """Answers for models. `names` are those of the policy file; `providers` by the names of their upstreams."""

    def __init__(self, names: Sequence[str], providers: Mapping[str, Upstream]) -> None:
        self._names = tuple(names)
        self._providers = dict(providers)

    async def send(self, call: Call, attempt: Attempt) -> Reply:
        """The list, or one model of it. Raises `UpstreamError` when there is nothing to tell, not even a refusal."""
        ask = call.llm
        assert ask is not None, "a route to LLM targets reads what is asked"
        if not ask.path.startswith(_ONE):
            return await self._all(call, ask, attempt)
        name = unquote(ask.path.removeprefix(_ONE).decode("latin-1"), errors="replace")
        if name in self._names:
            return _reply(write_model(named(name, ask.dialect)))
        return await self._one(call, ask, attempt)

    async def aclose(self) -> None:
        """Nothing is held: the providers' clients are closed where they are kept."""

    async def _all(self, call: Call, ask: Ask, attempt: Attempt) -> Reply:
        entries = [named(name, ask.dialect) for name in self._names]
        failures: list[Reply | UpstreamError] = []
        for owner, provider in self._providers.items():
            listed = await _listed(provider, call, ask, attempt)
            if isinstance(listed, list):
                entries += [told(entry, ask.dialect, owner) for entry in listed]
            else:
                failures.append(listed)
        if len(failures) == len(self._providers) and not self._names:
            return _best(failures)
        return _reply(write_list(entries, ask.dialect, ask.query))

    async def _one(self, call: Call, ask: Ask, attempt: Attempt) -> Reply:
        failures: list[Reply | UpstreamError] = []
        for owner, provider in self._providers.items():
            try:
                reply = await _whole(provider, _to_provider(call, ask, ask.query), attempt)
            except UpstreamError as error:
                failures.append(error)
                continue
            entry = read_model(reply.whole or b"") if reply.status == 200 else None
            if entry is None:
                failures.append(reply)
            elif dialect_of(entry) is ask.dialect:
                return reply
            else:
                return _reply(write_model(told(entry, ask.dialect, owner)))
        return _best(failures)


async def _listed(provider: Upstream, call: Call, ask: Ask, attempt: Attempt) -> list[Document] | Reply | UpstreamError:
    """What one provider lists, page by page; how it failed when its first page was none."""
    entries: list[Document] = []
    read, after = 0, ""
    for _ in range(PAGES):
        asked = _to_provider(call, ask, next_page(ask.query, after))
        try:
            reply = await _whole(provider, asked, attempt, MOST - read)
        except UpstreamError as error:
            return entries or error
        body = reply.whole or b""
        page = read_page(body) if reply.status == 200 else None
        if page is None:
            return entries or reply
        entries += page.entries
        read += len(body)
        if not page.after or page.after == after:
            break
        after = page.after
    return entries


async def _whole(provider: Upstream, call: Call, attempt: Attempt, most: int = MOST) -> Reply:
    """A provider's answer; nothing of it is held open. Raises `UpstreamError` when there is none, or too much of it."""
    try:
        async with asyncio.timeout(PATIENCE):
            reply = await provider.send(call, attempt)
            try:
                body = await read_whole(reply, most)
            finally:
                let_go(reply)
    except TimeoutError:
        raise UpstreamError(Facts(What.TIMED_OUT, detail=f"no list of models within {PATIENCE:g} s")) from None
    if body is None:
        detail = f"a list of models longer than {most:,} bytes"
        raise UpstreamError(Facts(What.UNPARSEABLE, status=reply.status, detail=detail))
    return reply


def _to_provider(call: Call, ask: Ask, query: bytes) -> Call:
    """The same question; of a HEAD the answer is needed, too. A body says nothing here, and one that is still coming
    could be read by the first provider alone.
    """
    headers = call.headers
    if not _CONDITIONS.isdisjoint(call.fields):
        headers = [pair for pair in headers if pair[0].lower() not in _CONDITIONS]
    asked = replace(ask, query=query)
    return derived(call, method=b"GET", headers=headers, llm=asked, body=Body.of(b""), expects_continue=False)


def _best(failures: Sequence[Reply | UpstreamError]) -> Reply:
    """What the caller is told when nobody had an answer: that it is not there, else what the first said, else why
    the first said nothing.
    """
    replies = [failure for failure in failures if isinstance(failure, Reply)]
    if replies:
        return next((reply for reply in replies if reply.status == 404), replies[0])
    for failure in failures:
        assert isinstance(failure, UpstreamError)
        raise failure
    raise UpstreamError(Facts(What.CANNOT_CARRY, detail="there is no provider to ask for models"))


def _reply(body: bytes) -> Reply:
    headers = [(b"Content-Type", b"application/json")]
    return Reply(200, b"OK", headers, Facts(What.REPLY, status=200), {b"content-type": b"application/json"}, whole=body)
