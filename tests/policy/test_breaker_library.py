"""pybreaker comes alone: what it looks for is neither imported by it nor kept from others."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.kit.source_tree import ROOT

LEFT_OUT = "print([name for name in ('redis', 'tornado', 'opentelemetry') if name in sys.modules])\n"


def printed(program: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout.splitlines()


@pytest.mark.parametrize("module", ["sidecar.policy.circuit", "sidecar.daemon", "sidecar.cli.app"])
def test_nothing_that_is_not_used_is_imported(module: str) -> None:
    assert printed(f"import sys, {module}\n" + LEFT_OUT) == ["[]"]


def test_who_wants_redis_later_gets_it() -> None:
    program = "import sys, sidecar.policy.circuit\nimport redis\nprint(redis.Redis.__name__, 'tornado' in sys.modules)"
    assert printed(program) == ["Redis False"]


def test_who_has_redis_already_keeps_it() -> None:
    program = (
        "import sys, redis\nfrom sidecar.policy.breaker_library import pybreaker\n"
        "print(sys.modules['redis'] is redis, pybreaker.HAS_REDIS_SUPPORT)"
    )
    assert printed(program) == ["True True"]


def test_pybreaker_is_prepared_for_it() -> None:
    program = (
        "from sidecar.policy.breaker_library import pybreaker\n"
        "print(pybreaker.HAS_REDIS_SUPPORT, pybreaker.HAS_TORNADO_SUPPORT)"
    )
    assert printed(program) == ["False False"]
