"""The proxies of the bench: what is started, with which settings, and where each is found."""

import shlex
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.load import PATH, Drive, Load, drive, padded
from bench.process import Cores, Process, free_port, running

HERE = Path(__file__).parent
OURS = "{python} -m sidecar run -c {config}"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a proxy of this bench lives: its folder, its cores, the upstream's port, and who makes the load."""

    folder: Path
    cores: Cores
    upstream: int
    drive: Drive = drive

    def load(self, port: int, seconds: float, connections: int) -> Load:
        return self.drive(port, seconds=seconds, connections=connections, cores=self.cores.load, folder=self.folder)


@dataclass(frozen=True, slots=True)
class Sidecar:
    """Ours, or whatever `command` names: {python}, {config}, {port} and {upstream} are filled in."""

    command: str = OURS
    routes: int = 1
    name: str = "sidecar"

    @contextmanager
    def up(self, place: Place) -> Iterator[tuple[Process, int]]:
        port = free_port()
        config = place.folder / f"sidecar-{self.routes}.toml"
        config.write_text(policy_file(self.routes))
        words = {"python": sys.executable, "config": str(config), "port": str(port), "upstream": str(place.upstream)}
        argv = [word.format(**words) for word in shlex.split(self.command)]
        env = {"BENCH_LISTEN": f"127.0.0.1:{port}", "BENCH_UPSTREAM": f"http://127.0.0.1:{place.upstream}"}
        with running(argv, cores=place.cores.proxy, port=port, path=PATH, folder=place.folder, env=env) as process:
            yield process, port


@dataclass(frozen=True, slots=True)
class Envoy:
    """Envoy on one worker, with the policies that ours has on."""

    binary: str
    name: str = "envoy"

    @contextmanager
    def up(self, place: Place) -> Iterator[tuple[Process, int]]:
        port = free_port()
        config = place.folder / "envoy.json"
        config.write_text(envoy_settings(port, place))
        argv = [self.binary, "-c", str(config), "--concurrency", "1", "--disable-hot-restart", "-l", "error"]
        with running(argv, cores=place.cores.proxy, port=port, path=PATH, folder=place.folder) as process:
            yield process, port


@dataclass(frozen=True, slots=True)
class Nginx:
    """nginx as a plain proxy: no policies, no log. It stands for what moving the bytes costs."""

    binary: str
    name: str = "nginx"

    @contextmanager
    def up(self, place: Place) -> Iterator[tuple[Process, int]]:
        location = """proxy_pass http://up; proxy_http_version 1.1; proxy_set_header Connection "";"""
        upstream = f"upstream up {{ server 127.0.0.1:{place.upstream}; keepalive 64; keepalive_requests 1000000000; }}"
        with nginx(self.binary, place.folder / "nginx", place.cores.proxy, location, upstream) as started:
            yield started


def envoy_settings(port: int, place: Place) -> str:
    """bench/envoy.json with its blanks filled in."""
    text = (HERE / "envoy.json").read_text()
    fills = {"LISTEN_PORT": str(port), "UPSTREAM_PORT": str(place.upstream), "LOG": str(place.folder / "envoy.log")}
    for key, value in fills.items():
        text = text.replace(f"@{key}@", value)
    return text


@contextmanager
def memory_upstream(binary: str, folder: Path, cores: Cores) -> Iterator[int]:
    """An nginx that answers every request with 300 bytes from memory; gives its port."""
    answer = padded('"price": 12.5, "currency": "EUR"')
    location = f"default_type application/json; return 200 '{answer}';"
    with nginx(binary, folder / "upstream", cores.load, location) as (_, port):
        yield port


@contextmanager
def nginx(binary: str, folder: Path, cores: str, location: str, outside: str = "") -> Iterator[tuple[Process, int]]:
    """One nginx process, no master, all its files in `folder`."""
    port = free_port()
    folder.mkdir(exist_ok=True)
    temporary = "".join(f"{kind}_temp_path {folder};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    (folder / "nginx.conf").write_text(f"""
daemon off; master_process off; pid {folder}/pid; error_log stderr error;
events {{ worker_connections 4096; }}
http {{
  access_log off; keepalive_timeout 300; keepalive_requests 1000000000; {temporary}
  {outside}
  server {{ listen 127.0.0.1:{port}; location / {{ {location} }} }}
}}
""")
    argv = [binary, "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", "stderr"]
    with running(argv, cores=cores, port=port, path=PATH, folder=folder) as process:
        yield process, port


def policy_file(routes: int) -> str:
    """bench/sidecar.toml with `routes` routes in all, the one that matches in their middle."""
    before, matched, after = (HERE / "sidecar.toml").read_text().partition("[routes.pricing]")
    left = (routes - 1) // 2
    return before + fillers("a", left) + matched + after + fillers("z", routes - 1 - left)


def fillers(letter: str, count: int) -> str:
    names = (f"{letter}-service-{number:04}" for number in range(count))
    return "".join(
        f'\n[routes.{name}]\nmatch = {{ path = "/api/v1/{name}/*" }}\nchain = ["pricing"]\n\n' for name in names
    )


def find_envoy(given: str) -> str | None:
    """`--envoy`, else PATH, else what `make bench` installed."""
    places = (given, "envoy", str(Path(sys.executable).parent / "envoy"), str(HERE.parent / ".venv-bench/bin/envoy"))
    return next((found for place in places if place and (found := shutil.which(place))), None)


def find_nginx() -> str | None:
    return shutil.which("nginx") or shutil.which("/usr/sbin/nginx")
