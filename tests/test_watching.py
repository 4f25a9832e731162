"""Changes of files are seen, however they come about; text that is still being written is left alone."""

from __future__ import annotations

import asyncio
import logging
import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from watchfiles._rust_notify import WatchfilesRustInternalError

from sidecar import watching
from sidecar.watching import Watching, look
from tests.kit.caller import PATIENCE
from tests.kit.running import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from sidecar.watching import Seen


class Watched:
    """A policy file in a folder, and what is heard of it: its text each time that it counts as changed."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "sidecar.toml"
        self.file.write_text("first\n")
        self.more: list[str] = []
        self.refuses = False
        self.heard: asyncio.Queue[str] = asyncio.Queue()
        self.watching = Watching(self.files, self.changed, look(self.files()))

    def files(self) -> list[str]:
        return [str(self.file), *self.more]

    async def changed(self, seen: Seen) -> bool:
        text = "a pipe" if self.file.is_fifo() else self.file.read_text() if self.file.exists() else "gone"
        self.heard.put_nowait(text)
        return not self.refuses

    async def next(self) -> str:
        async with asyncio.timeout(PATIENCE):
            return await self.heard.get()


@asynccontextmanager
async def watched(folder: Path) -> AsyncIterator[Watched]:
    one = Watched(folder)
    task = asyncio.create_task(one.watching.run())
    try:
        yield one
    finally:
        task.cancel()
        await asyncio.wait((task,))
    assert one.heard.empty()


@pytest.fixture
def told_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """A change that nobody tells of is not found within the test."""
    monkeypatch.setattr(watching, "POLL", 60.0)


def in_place(file: Path, text: str) -> None:
    file.write_text(text)


def renamed(file: Path, text: str) -> None:
    other = file.with_suffix(".new")
    other.write_text(text)
    other.rename(file)


def removed_first(file: Path, text: str) -> None:
    file.unlink()
    file.write_text(text)


@pytest.mark.usefixtures("told_only")
@pytest.mark.parametrize("write", [in_place, renamed, removed_first])
async def test_another_text_is_heard_of_each_time(write: Callable[[Path, str], None], tmp_path: Path) -> None:
    async with watched(tmp_path) as one:
        for text in ("second\n", "third\n"):
            write(one.file, text)
            assert await one.next() == text


@pytest.mark.usefixtures("told_only")
async def test_a_config_map_is_swapped_by_the_link_to_its_folder(tmp_path: Path) -> None:
    def publish(name: str, text: str) -> None:
        """As the kubelet does it: a new folder, and `..data` is renamed to lead there."""
        (tmp_path / name).mkdir()
        (tmp_path / name / "sidecar.toml").write_text(text)
        (tmp_path / "..data_tmp").symlink_to(name)
        (tmp_path / "..data_tmp").rename(tmp_path / "..data")

    async with watched(tmp_path) as one:
        publish("..1", "mounted\n")
        one.file.unlink()
        one.file.symlink_to("..data/sidecar.toml")
        assert await one.next() == "mounted\n"
        for number in ("..2", "..3"):
            publish(number, f"swapped {number}\n")
            assert await one.next() == f"swapped {number}\n"


@pytest.mark.usefixtures("told_only")
async def test_a_link_is_followed_to_the_folder_it_leads_to(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    real = tmp_path / "elsewhere" / "real.toml"
    real.write_text("linked\n")
    async with watched(tmp_path) as one:
        one.file.unlink()
        one.file.symlink_to(real)
        assert await one.next() == "linked\n"
        real.write_text("changed there\n")
        assert await one.next() == "changed there\n"


@pytest.mark.usefixtures("told_only")
async def test_files_that_it_names_count_as_well(tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    key = tmp_path / "secrets" / "key"
    async with watched(tmp_path) as one:
        one.more = [str(key)]
        one.file.write_text("names a key\n")
        assert await one.next() == "names a key\n"
        key.write_text("hunter2\n")
        assert await one.next() == "names a key\n"


async def test_a_file_that_was_only_touched_or_written_back_is_no_change(tmp_path: Path) -> None:
    async with watched(tmp_path) as one:
        one.file.touch()
        renamed(one.file, "first\n")
        one.file.write_text("second")  # without its line break: it is waited for
        one.file.write_text("first\n")
        one.file.write_text("first\n")
        (tmp_path / "another").write_text("x")
        one.file.write_text("third\n")
        assert await one.next() == "third\n"


async def test_a_text_in_pieces_is_one_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each time that it looks there is a little more, at last the whole."""
    monkeypatch.setattr(watching, "STILL", 0.02)
    monkeypatch.setattr(watching, "UNFINISHED", 0.04)
    pieces = ["[a]\n", "b = ", "1\n", "c = 2", "\n"]
    async with watched(tmp_path) as one:
        seen_now = one.watching._seen_now

        async def seen() -> Seen:
            if pieces and one.file.read_text() != "first\n":
                with one.file.open("a") as file:
                    file.write(pieces.pop(0))
            return await seen_now()

        monkeypatch.setattr(one.watching, "_seen_now", seen)
        one.file.write_text("")
        assert await one.next() == "[a]\nb = 1\nc = 2\n"


async def test_a_file_that_never_stays_the_same_is_taken_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "RESTLESS", 0.3)
    async with watched(tmp_path) as one:

        async def write_on() -> None:
            for number in range(1_000_000):
                one.file.write_text(f"{number}\n")
                await asyncio.sleep(0.01)

        writing = asyncio.create_task(write_on())
        assert (await one.next()).strip().isdigit()
        writing.cancel()
        one.file.write_text("done\n")
        while await one.next() != "done\n":
            pass


async def test_a_file_that_goes_and_comes_back(tmp_path: Path) -> None:
    async with watched(tmp_path) as one:
        one.file.unlink()
        assert await one.next() == "gone"
        one.file.write_text("first\n")
        assert await one.next() == "first\n"


async def test_a_link_to_itself_is_no_file_and_ends_nothing(tmp_path: Path) -> None:
    async with watched(tmp_path) as one:
        one.file.unlink()
        one.file.symlink_to(one.file)
        assert await one.next() == "gone"
        renamed(one.file, "second\n")
        assert await one.next() == "second\n"


async def test_a_pipe_is_no_file_and_is_not_waited_for(tmp_path: Path) -> None:
    async with watched(tmp_path) as one:
        one.file.unlink()
        os.mkfifo(one.file)
        assert await one.next() == "a pipe"
        renamed(one.file, "second\n")
        assert await one.next() == "second\n"


async def test_a_name_that_no_file_can_have_ends_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with watched(tmp_path) as one:
        one.more = [str(tmp_path / ("x" * 300) / "key")]
        one.file.write_text("second\n")
        assert await one.next() == "second\n"
        one.file.write_text("third\n")
        assert await one.next() == "third\n"
    assert "failed" not in caplog.text


async def test_a_folder_that_goes_and_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "POLL", 0.1)
    folder = tmp_path / "policy"
    folder.mkdir()
    async with watched(folder) as one:
        one.file.unlink()
        folder.rmdir()
        assert await one.next() == "gone"
        folder.mkdir()
        one.file.write_text("again\n")
        assert await one.next() == "again\n"


async def test_another_folder_in_the_place_of_one_is_looked_into(tmp_path: Path) -> None:
    """As some tools deploy: the folder is made elsewhere and takes the name of the one before, which is watched on."""
    folder = tmp_path / "policy"
    folder.mkdir()
    async with watched(folder) as one:
        for number in range(3):
            made = tmp_path / f"made-{number}"
            made.mkdir()
            (made / one.file.name).write_text(f"{number}\n")
            folder.rename(tmp_path / f"old-{number}")
            made.rename(folder)
            assert await one.next() == f"{number}\n"
            renamed(one.file, f"{number} changed\n")
            assert await one.next() == f"{number} changed\n"


@pytest.mark.parametrize("kind", [OSError, WatchfilesRustInternalError])
async def test_what_nobody_tells_of_is_found(
    kind: type[Exception], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A system that has no watch left (inotify's limits are told by either); a network drive is alike, but says
    nothing. It is told once: the log of a machine on which others hold all of them is not for that.
    """

    def none_left(*folders: Path, **how: object) -> None:
        raise kind("no watch is left")

    monkeypatch.setattr(watching, "POLL", 0.05)
    monkeypatch.setattr(watching, "awatch", none_left)
    async with watched(tmp_path) as one:
        one.file.write_text("second\n")
        assert await one.next() == "second\n"
        one.file.write_text("third\n")
        assert await one.next() == "third\n"
    assert caplog.messages == ["changes of files are not told, they are looked for every 0.05 s: no watch is left"]


async def test_a_text_that_was_refused_is_tried_again_after_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "POLL", 0.05)
    monkeypatch.setattr(watching, "AGAIN", 0.1)
    async with watched(tmp_path) as one:
        one.refuses = True
        one.file.write_text("wrong\n")
        assert [await one.next() for _ in range(3)] == ["wrong\n"] * 3
        one.refuses = False
        assert await one.next() == "wrong\n"


async def test_what_somebody_else_has_read_is_no_change(tmp_path: Path) -> None:
    async with watched(tmp_path) as one:
        one.file.write_text("second\n")
        one.watching.took(look(one.files()))
        one.file.write_text("third\n")
        assert await one.next() == "third\n"


async def test_the_watching_itself_is_not_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with watched(tmp_path) as one:
        one.file.write_text("second\n")
        await one.next()
    assert "detected" not in caplog.text


async def test_an_error_of_ours_ends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(watching, "POLL", 0.05)
    async with watched(tmp_path) as one:
        changed = one.changed

        async def broken(seen: Seen) -> bool:
            one.watching._changed = changed
            raise RuntimeError("a bug")

        one.watching._changed = broken
        one.file.write_text("second\n")
        await until(lambda: "begins again" in caplog.text)
        one.file.write_text("third\n")
        assert await one.next() == "third\n"
