"""examples/compose: its file is one of the Compose specification, holds what its README says, and its session goes."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from compose_spec import PyCompose

from sidecar.config import load
from tests.kit.commands import ROOT
from tests.kit.dockerfile import instructions
from tests.kit.transcript import blocks, terminal

if TYPE_CHECKING:
    from pathlib import Path

FOLDER = ROOT / "examples" / "compose"
TEXT = (FOLDER / "compose.yaml").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]


def test_it_is_a_file_of_the_specification() -> None:
    assert set(PyCompose.from_yaml(TEXT).service_names()) == {"app", "sidecar", "redis"}


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("read_only: true", "read_olny: true"),
        ("stop_grace_period: 35s", "stop_grace_period: 35 seconds"),
        ("network_mode: service:app", "network_mode: [app]"),
    ],
)
def test_the_validator_would_say_so_if_it_were_not(right: str, wrong: str) -> None:
    assert right in TEXT
    with pytest.raises(ValueError, match=r"sidecar|app|unknown"):
        PyCompose.from_yaml(TEXT.replace(right, wrong, 1))


@pytest.mark.parametrize("name", SERVICES)
def test_each_service_is_confined(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service
    assert service["mem_limit"]
    assert service["pids_limit"]
    assert ("build" in service) == (service.get("pull_policy") == "build")
    assert not {"ports", "expose"} & service.keys() or all(port.startswith("127.0.0.1:") for port in service["ports"])
    user = service.get("user") or next(each.rest for each in reversed(DOCKERFILE) if each.name == "USER")
    assert user.split(":")[0] not in {"0", "root"}


DOCKERFILE = list(instructions((ROOT / "Dockerfile").read_text()))


def test_the_sidecar_is_on_the_applications_loopback_and_told_where_its_things_are(tmp_path: Path) -> None:
    sidecar = SERVICES["sidecar"]
    assert sidecar["network_mode"] == "service:app"
    assert "ports" not in sidecar
    assert "healthcheck" not in sidecar
    assert any(each.name == "HEALTHCHECK" for each in DOCKERFILE)
    (config,) = sidecar["configs"]
    assert config["target"] in next(each.rest for each in DOCKERFILE if each.name == "CMD")
    for source in (*COMPOSE["configs"].values(),):
        assert (FOLDER / source["file"]).is_file()
    (FOLDER / sidecar["build"]["context"] / "Dockerfile").resolve(strict=True)
    # As it is in the container: only where secrets lie is another place.
    (tmp_path / sidecar["secrets"][0]).write_text("k")
    loaded = load(FOLDER / "sidecar.toml", {"SECRETS": str(tmp_path)})
    assert "${SECRETS:-/run/secrets}/" in (FOLDER / "sidecar.toml").read_text()
    listen = loaded.settings.listen
    assert (str(listen.http), str(listen.admin)) == ("127.0.0.1:7070", "127.0.0.1:7072")
    assert SERVICES["app"]["environment"]["OPENAI_BASE_URL"] == f"http://{listen.http}/v1"


def test_it_waits_longer_for_the_end_than_the_sidecar_drains() -> None:
    limits = tomllib.loads((FOLDER / "sidecar.toml").read_text())["limits"]
    seconds = {name: int(limits[name].removesuffix("s")) for name in ("drain", "linger")}
    grace = int(SERVICES["sidecar"]["stop_grace_period"].removesuffix("s"))
    assert grace >= seconds["drain"] + seconds["linger"] + 5


def test_the_limit_may_be_counted_in_its_redis(tmp_path: Path) -> None:
    (tmp_path / "openai_api_key").write_text("k")
    for store in ("local", "redis"):
        loaded = load(FOLDER / "sidecar.toml", {"SECRETS": str(tmp_path), "LIMIT_STORE": store})
        limit = loaded.settings.routes["llm"].rate_limit
        assert limit is not None
        assert limit.store == store
        assert loaded.settings.redis.url.startswith("redis://redis:")
    assert SERVICES["redis"]["profiles"] == ["fleet"]


async def test_the_readme_is_a_session_that_goes_as_it_says(tmp_path: Path) -> None:
    async with terminal(tmp_path) as shell:
        shell.place("examples/compose/app.py", "examples/compose/sidecar.toml")
        for block in blocks(FOLDER / "README.md"):
            await shell.type(block)
