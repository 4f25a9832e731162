"""What `sidecar demo` shows: a sidecar between live traffic and ten services in trouble.

The story takes about ten seconds: each kind of trouble once, a line a request,
told from what came back and from the sidecar's own timeline of it. After that
traffic goes on quietly, with a line every ten seconds, until it is ended; whoever
watches can now type the commands it prints.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import aiohttp

from sidecar.standins.demo_beamline import Beamline, Decides, Told, channel_to
from sidecar.standins.demo_llm import Asks, Providers
from sidecar.standins.demo_policy import policy
from sidecar.standins.faults import HEALTHY, Fault, Kind
from sidecar.standins.http import StandIn

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

FAULTS = {
    "steady": HEALTHY,
    "flaky": Fault(Kind.FAIL, share=0.5),
    "slow": Fault(Kind.SLOW, delay=3),
    "gone": Fault(Kind.DEAD),
    "moody": HEALTHY,
}
QUIET_EVERY = 0.5
"""Seconds between two requests after the story: enough to keep every breaker's window filled."""
SUMMARY_EVERY = 20
"""Requests between two summary lines."""
ROUTES = ("steady", "flaky", "slow", "gone", "chain", "limited", "moody")
REFUSED = re.compile(r'details="(\w+)"')
"""The code of a refusal of the sidecar's own, in `Proxy-Status`."""
PATIENCE = aiohttp.ClientTimeout(total=15)


@dataclass(slots=True)
class Tally:
    """How the calls went, as their callers saw them."""

    calls: int = 0
    well: int = 0
    rescued: int = 0
    """Well, although it took more than one attempt."""
    refused: int = 0
    """Refused by the sidecar itself."""
    unwell: int = 0

    def count(self, attempts: int, *, well: bool, ours: bool) -> None:
        """One call more; `ours`: the sidecar answered by itself."""
        self.calls += 1
        if well:
            self.well += 1
            self.rescued += attempts > 1
        elif ours:
            self.refused += 1
        else:
            self.unwell += 1

    def __str__(self) -> str:
        return (
            f"{self.calls} calls: {self.well} answered well, {self.rescued} of them after trouble; "
            f"{self.refused} refused early; {self.unwell} failed"
        )


@dataclass(slots=True)
class Demo:
    """The stand-ins and the traffic. `say` gets one line at a time."""

    say: Callable[[str], None]
    standins: dict[str, StandIn] = field(default_factory=dict)
    beamline: Beamline = field(default_factory=Beamline)
    providers: Providers = field(default_factory=Providers)
    tally: Tally = field(default_factory=Tally)
    states: dict[str, str] = field(default_factory=dict)

    async def start(self, http: str, rpc: str, admin: str) -> str:
        """Start the stand-ins. The policy for a sidecar that listens at these addresses."""
        self.standins = {name: StandIn(name, fault=fault) for name, fault in FAULTS.items()}
        urls = {name: await standin.start() for name, standin in self.standins.items()}
        urls |= await self.beamline.start() | await self.providers.start()
        return policy(http, rpc, admin, urls)

    async def stop(self) -> None:
        """Stop the stand-ins."""
        for standin in self.standins.values():
            await standin.stop()
        await self.beamline.stop()
        await self.providers.stop()

    async def play(self, http: str, rpc: str, admin: str, seconds: float | None = None) -> None:
        """Make traffic against a running sidecar, for `seconds` or until cancelled.

        `http` and `admin` are base URLs, `rpc` is the address of its gRPC listener.
        """
        async with aiohttp.ClientSession(timeout=PATIENCE) as session, channel_to(rpc) as channel:
            traffic = Traffic(self, session, http, admin)
            decides = Decides(self.beamline, session, channel, http, traffic.tell)
            asks = Asks(self.providers, session, http, traffic.tell)
            ends = asyncio.timeout(seconds)
            try:
                async with ends:
                    await traffic.story()
                    await decides.story(self.say)
                    await asks.story(self.say)
                    self.hints(http, rpc, admin)
                    await traffic.quiet(decides.over_http, decides.over_grpc, asks.chat, asks.messages)
            except TimeoutError:
                if not ends.expired():  # a sidecar that does not answer is no end of the demo
                    raise
            finally:
                self.say(f"\n{self.tally}")

    def hints(self, http: str, rpc: str, admin: str) -> None:
        """What to try by hand now."""
        steady, moody = self.standins["steady"].url, self.standins["moody"].url
        self.say("\nNow you. Traffic goes on quietly; Ctrl-C ends it.\n")
        for command, shows in (
            (f"curl -i {http}/flaky/you", "half of its answers are 500: you see none"),
            (f"curl -i {http}/slow/you", "X-Sidecar-Upstream says who answered in time"),
            (f"curl -i {http}/chain/you", "everybody is away, and still an answer"),
            (f"for i in 1 2 3 4 5; do curl -i {http}/limited/you; done", "the limit's own headers count down"),
            (f"curl -N -H 'Accept: text/event-stream' {http}/steady/you", "event by event"),
            (f"curl {admin}/circuit-breakers", "which are open, and until when"),
            (f"curl {admin}/requests/ID", "one call's story; ID is its X-Sidecar-Request-ID"),
            (f"curl {admin}/metrics", "for Prometheus"),
        ):
            self.say(f"  {command:<66}  # {shows}")
        self.say("\nAnd make trouble yourself, at the services' own ports:\n")
        self.say(f'  curl -d \'{{"kind": "fail", "status": 503}}\' {moody}/_fault')
        self.say(f'  curl -d \'{{"kind": "dead", "lasts": 20}}\' {steady}/_fault')
        self.say("\nDecides, and how to kill those who take them:\n")
        for command, shows in self.beamline.hints(http, rpc):
            self.say(f"  {command}\n      # {shows}")
        self.say("\nLLM providers, for curl or for any SDK that is told of this address:\n")
        for command, shows in self.providers.hints(http):
            self.say(f"  {command}\n      # {shows}")
        self.say("")


@dataclass(slots=True)
class Traffic:
    """The callers of the demo, one after the other."""

    demo: Demo
    session: aiohttp.ClientSession
    http: str
    admin: str
    number: int = 0

    async def story(self) -> None:
        """Each kind of trouble once. Under ten seconds."""
        say, moody = self.demo.say, self.demo.standins["moody"]
        say(f"The sidecar is at {self.http}; watch it in a browser at {self.admin}.\n")
        say("A healthy service; the call passes through:")
        await self.ask("steady")
        say("\nHalf of this one's answers are 500. Its callers see none of them:")
        for _ in range(3):
            await self.ask("flaky")
        say("\nThis one takes three seconds. After 0.4 the next in the chain is asked; after three of those its")
        say("breaker opens, and the call does not even wait:")
        for _ in range(4):
            await self.ask("slow")
        say("\nNobody listens here:")
        for _ in range(2):
            await self.ask("gone")
        say("\nA chain whose services are all away ends in an answer that stands in the policy file:")
        await self.ask("chain")
        say("\nThirty a minute, three at once. The fourth is told when to come back:")
        for _ in range(4):
            await self.ask("limited")
        say("\nA stream passes as it comes:")
        await self.listen()
        say("\nA service falls ill. Three failures open its breaker; it is left alone, then probed, then trusted:")
        await self.ask("moody")
        await moody.switch(Fault(Kind.FAIL))
        for _ in range(4):
            await self.ask("moody")
        await moody.switch(HEALTHY)
        await asyncio.sleep(1.1)
        for _ in range(2):
            await self.ask("moody")

    async def quiet(self, *others: Callable[[], Awaitable[Told]]) -> None:
        """The same traffic without a word but for breakers that move, and a summary now and then."""
        asks: list[Callable[[], Awaitable[Told]]] = [partial(self.get, route) for route in ROUTES]
        asks += others
        while True:
            for ask in asks:
                self.count(await ask())
                await self.breakers()
                await asyncio.sleep(QUIET_EVERY)
                if self.demo.tally.calls % SUMMARY_EVERY == 0:
                    self.demo.say(f"  {self.demo.tally}")

    async def ask(self, route: str) -> None:
        """One call of that route, and a line that tells how it went."""
        await self.tell(await self.get(route))

    async def get(self, route: str) -> Told:
        """One call of that route."""
        self.number += 1
        path = f"/{route}/{self.number}"
        clock = asyncio.get_running_loop().time
        began = clock()
        async with self.session.get(self.http + path) as reply:
            await reply.read()
        fields = {name.lower(): value for name, value in reply.headers.items()}
        return Told(f"GET {path}", str(reply.status), reply.status < 400, fields, clock() - began)

    async def tell(self, told: Told) -> None:
        """Count a call, and say how it went."""
        self.count(told)
        upstream = told.fields.get("x-sidecar-upstream", "sidecar")
        why = [await self.steps(told.fields.get("x-sidecar-request-id", ""))]
        refused = REFUSED.search(told.fields.get("proxy-status", ""))
        if refused is not None and refused[1] not in why[0]:
            why.append(refused[1])
        if "retry-after" in told.fields:
            why.append(f"again in {told.fields['retry-after']} s")
        text = ", ".join(filter(None, why))
        self.demo.say(f"  {told.what:<16} {told.status:<3} by {upstream:<14} {told.seconds * 1000:5.0f} ms   {text}")
        await self.breakers()

    def count(self, told: Told) -> None:
        """One call more."""
        attempts = int(told.fields.get("x-sidecar-attempts", "0"))
        self.demo.tally.count(attempts, well=told.well, ours="proxy-status" in told.fields)

    async def listen(self) -> None:
        """A stream of events, with the moment at which each came."""
        clock = asyncio.get_running_loop().time
        began = clock()
        headers = {"Accept": "text/event-stream"}
        async with self.session.get(f"{self.http}/steady/events", headers=headers) as reply:
            moments = [clock() - began async for line in reply.content if line.startswith(b"id:")]
        self.demo.tally.count(1, well=reply.status < 400, ours=False)
        self.demo.say("  GET /steady/events: an event at " + ", ".join(f"{at:.1f}" for at in moments) + " s")

    async def steps(self, request_id: str) -> str:
        """The sidecar's own timeline of a call, in a few words."""
        # A call is written down when its last byte has left; the caller may be a moment earlier.
        for _ in range(20):
            async with self.session.get(f"{self.admin}/requests/{request_id}") as reply:
                if reply.status == 200:
                    return in_words((await reply.json())["steps"])
            await asyncio.sleep(0.01)
        return ""

    async def breakers(self) -> None:
        """Say which breakers have moved since the last look."""
        async with self.session.get(f"{self.admin}/circuit-breakers") as reply:
            now = {name: told["state"] for name, told in (await reply.json()).items()}
        for name, state in now.items():
            before = self.demo.states.get(name, "closed")
            if state != before:
                self.demo.say(f"      breaker {name}: {before} → {state}")
        self.demo.states = now


def in_words(steps: list[dict[str, object]]) -> str:
    """A timeline, such as `flaky 500 → waits 104 ms → flaky 200` or `gone connect_failed (3 times) → steady 200`."""
    words: list[str] = []
    times: list[int] = []
    for step in steps:
        word = one_step(step)
        # The same again after a wait: one word, counted.
        if len(words) > 1 and words[-1].startswith("waits") and words[-2] == word:
            words.pop()
            times.pop()
            times[-1] += 1
        else:
            words.append(word)
            times.append(1)
    return " → ".join(
        word if count == 1 else f"{word} ({count} times)" for word, count in zip(words, times, strict=True)
    )


def one_step(step: dict[str, object]) -> str:
    """One step: `flaky 500`, `waits 104 ms`, `gone skipped: circuit_open`."""
    after = f"{float(str(step['seconds'])) * 1000:.0f} ms"
    if step["kind"] == "wait":
        return f"waits {after}"
    if step["kind"] == "skip":
        return f"{step['target']} skipped: {step['outcome']}"
    if step["outcome"] == "timeout":
        return f"{step['target']} timeout after {after}"
    if step["outcome"] == "broke":
        return f"{step['target']} broke after {after}"
    return f"{step['target']} {step.get('status_code') or step.get('grpc_code') or step['outcome']}"
