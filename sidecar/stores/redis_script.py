"""The one thing that is done in Redis: a decision, or what it is put right by, in one script and so at once.

It does the sums of `policy/limiter.py` on Redis' own clock, in whole microseconds. A bucket is a hash with a field per
window, `requests:60` say, and in it what it was at the last call: level, what it holds, its rate per second, and when.
So a window is read by what it was written by: with a limit that has changed it keeps the share that was used, and one
that is new is as full as the fullest of its unit, as `_Bucket.adapt` has it. The key ends when the last window of it
is empty: it is equal to none then.
"""

from __future__ import annotations

import hashlib
import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sidecar.policy.limiter import Window

TAKE, CORRECT = b"take", b"correct"

CLOCK = "redis.call('TIME')"
"""Seconds and microseconds. The server's: those of the sidecars differ."""

SCRIPT = f"""
local ROUNDING = 1e-9
local MOST, LONGEST = 1e20, 1e15  -- of a level and of its seconds, where they may be ours; of a key's milliseconds
local what, amount, tokens, counted = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]
local time = {CLOCK}
local now = time[1] * 1000000 + time[2]
local before, fullest, idle, write = {{}}, {{}}, 0, false

local stored = redis.call('HGETALL', KEYS[1])
for i = 1, #stored, 2 do
  local level, holds, rate, at = string.match(stored[i + 1], '^([%d.e+-]+) ([%d.e+-]+) ([%d.e+-]+) ([%d.e+-]+)$')
  level, holds, rate, at = tonumber(level), tonumber(holds), tonumber(rate), tonumber(at)
  local ours = level and holds and rate and at and level < MOST and holds > 0 and holds < MOST and rate > 1 / MOST
  if ours and level / rate < MOST then
    if at > now then
      write = true  -- the clock was put back: what is written from now on is by the new one
    else
      level = math.max(level - (now - at) / 1000000 * rate, 0)
    end
    local unit = string.match(stored[i], '^%a+')
    before[stored[i]] = {{level, holds}}
    fullest[unit or ''] = math.max(fullest[unit or ''] or 0, level / holds)
    idle = math.max(idle, level / rate)
  end
end

local windows, requests, bucket = {{}}, {{}}, nil
for i = 5, #ARGV, 4 do
  local field, holds = ARGV[i], tonumber(ARGV[i + 1])
  local was, level = before[field], nil
  if was and was[2] == holds then
    level = was[1]
  else
    level = (was and was[1] / was[2] or fullest[string.match(field, '^%a+')] or 0) * holds
    write = write or #stored > 0  -- from now on it drains by its own rate
  end
  local least = tonumber(ARGV[i + 3])
  if least > level then
    level, write = least, true
  end
  local window = {{field = field, holds = holds, rate = tonumber(ARGV[i + 2]), level = level}}
  windows[#windows + 1] = window
  if field == counted then bucket = window else requests[#requests + 1] = window end
end

local function wait_of(window, asked)
  local over = window.level + asked - window.holds
  if over <= ROUNDING * window.holds then return 0 end
  return asked <= window.holds and over / window.rate or math.huge
end

local wait = 0
if what == 'take' then
  if bucket and tokens > 0 then wait = wait_of(bucket, math.min(tokens, bucket.holds)) end
  for _, window in ipairs(requests) do wait = math.max(wait, wait_of(window, amount)) end
  if wait == 0 then
    for _, window in ipairs(requests) do window.level = window.level + amount end
    if bucket and tokens > 0 then bucket.level = bucket.level + tokens end
    write = true
  end
elseif bucket and (tokens > 0 or #stored > 0) then
  bucket.level = math.max(bucket.level + tokens, 0)
  write = true
end

local answer = {{string.format('%.17g', wait)}}
local fields = {{}}
for i, window in ipairs(windows) do
  answer[i + 1] = string.format('%.17g', window.holds - window.level)
  fields[2 * i - 1] = window.field
  fields[2 * i] = string.format('%.17g %.17g %.17g %.17g', window.level, window.holds, window.rate, now)
  idle = math.max(idle, window.level / window.rate)
end
if write and #fields > 0 then
  redis.call('HSET', KEYS[1], unpack(fields))
  redis.call('PEXPIRE', KEYS[1], math.ceil(math.min(idle * 1000, LONGEST)) + 1)
end
return answer
"""

SHA = hashlib.sha1(SCRIPT.encode(), usedforsecurity=False).hexdigest().encode()
"""By which Redis knows it, once it has seen it."""

COUNTED = b"tokens:60"
"""The field of the window that counts tokens; there is no other one of them."""


def given(windows: Sequence[Window], least: Sequence[float] | None = None) -> tuple[bytes, ...]:
    """The windows as the script is told of them. `least`: the levels below which they are not, wherever they stood."""
    told: list[bytes] = []
    for i, window in enumerate(windows):
        told += (
            b"%b:%d" % (window.unit.encode(), window.seconds),
            b"%d" % window.burst,
            b"%r" % (window.limit / window.seconds),
            b"%r" % least[i] if least else b"0",
        )
    return tuple(told)


def decision(key: bytes, windows: tuple[bytes, ...], amount: float, tokens: float) -> tuple[bytes, ...]:
    """To take from all `given` windows, or from none. Answered by the wait, and by what is free in each then."""
    return (b"1", key, TAKE, b"%r" % amount, b"%r" % tokens, COUNTED, *windows)


def correction(key: bytes, windows: tuple[bytes, ...], tokens: float) -> tuple[bytes, ...]:
    """To charge so many tokens more, or to give some back (negative). Answered alike."""
    return (b"1", key, CORRECT, b"0", b"%r" % tokens, COUNTED, *windows)


def read(answer: object, windows: int) -> list[float]:
    """The wait in seconds, then what is free in each of so many windows. Raises `TypeError`, `ValueError`."""
    if not isinstance(answer, list):  # bytes would do for a row of numbers
        raise TypeError(f"{type(answer).__name__} is no list")
    numbers = [float(number) for number in answer]
    if len(numbers) != windows + 1:
        raise ValueError(f"{len(numbers)} numbers for {windows} windows")
    if numbers[0] < 0 or not all(map(math.isfinite, numbers)):
        raise ValueError(f"{numbers} are no decision")
    return numbers
