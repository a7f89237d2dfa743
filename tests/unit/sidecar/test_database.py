"""One file, one writer: what is durable, what waits, what is refused."""

from __future__ import annotations

import asyncio
import sqlite3
import stat
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from retunable.errors import DatabaseUnavailable, DataUnusable
from retunable.sidecar.connection import Schema, connect
from retunable.sidecar.database import Database

NOTES = Schema("notes", ("CREATE TABLE notes (text TEXT UNIQUE);",))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "notes.db"


@pytest.fixture
def database(path: Path) -> Iterator[Database]:
    opened = Database.open(path, [NOTES], patience_seconds=0.1)
    yield opened
    opened.close()


def note(text: str) -> Callable[[sqlite3.Connection], object]:
    return lambda connection: connection.execute("INSERT INTO notes VALUES (?)", (text,))


async def write_in_another_process(path: Path, text: str) -> None:
    program = (
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); "
        "c.execute('INSERT INTO notes VALUES (?)', sys.argv[2:]); c.commit(); c.close()"
    )
    python = await asyncio.create_subprocess_exec(sys.executable, "-c", program, str(path), text)
    assert await asyncio.wait_for(python.wait(), 30) == 0


def delete(path: Path) -> None:
    path.unlink()


def texts(connection: sqlite3.Connection) -> list[str]:
    return [row[0] for row in connection.execute("SELECT text FROM notes ORDER BY text")]


async def test_what_was_written_is_read_at_once(database: Database) -> None:
    await database.write(note("a"))
    assert await database.read(texts) == ["a"]


async def test_a_job_that_raises_takes_back_only_itself(database: Database) -> None:
    def half(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO notes VALUES ('half')")
        raise LookupError("other half")

    written = await asyncio.gather(
        *(database.write(note(text)) for text in "abc"),
        database.write(half),
        database.write(note("d")),
        return_exceptions=True,
    )
    assert [isinstance(one, Exception) for one in written] == [False] * 3 + [True, False]
    assert await database.read(texts) == ["a", "b", "c", "d"]


async def test_what_another_process_wrote_and_left_is_read(database: Database, path: Path) -> None:
    # Closing the file anywhere in this process would drop SQLite's locks: the other process would
    # take itself for the last one and delete the log that this one reads.
    await database.write(note("a"))
    connect(path, [NOTES]).close()
    await write_in_another_process(path, "b")
    assert await database.read(texts) == ["a", "b"]
    await write_in_another_process(path, "c")
    assert await database.read(texts) == ["a", "b", "c"]


async def test_a_reader_cannot_write(database: Database) -> None:
    with pytest.raises(DatabaseUnavailable):
        await database.read(note("a"))


async def test_a_job_whose_caller_is_gone_before_it_began_never_runs(
    database: Database, path: Path
) -> None:
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    first = asyncio.create_task(database.write(texts))
    await asyncio.sleep(0)
    late = asyncio.create_task(database.write(note("x")))
    await asyncio.sleep(0)
    late.cancel()
    await asyncio.gather(late, return_exceptions=True)
    other.execute("ROLLBACK")
    await asyncio.gather(first, return_exceptions=True)
    assert await database.write(texts) == []
    other.close()


async def test_a_file_that_stays_locked_is_said_to_be_busy(database: Database, path: Path) -> None:
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(DatabaseUnavailable) as refused:
        await database.write(texts)
    assert refused.value.reason == "busy"
    other.close()


async def test_a_write_sometime_waits_for_a_lock_to_end(database: Database, path: Path) -> None:
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    waiting = asyncio.create_task(database.write_sometime(note("late")))
    with pytest.raises(DatabaseUnavailable):
        await database.write(texts)
    other.execute("ROLLBACK")
    await asyncio.wait_for(waiting, 10)
    assert await database.read(texts) == ["late"]
    other.close()


async def test_a_full_disk_takes_nothing_and_room_lets_it_go_on(database: Database) -> None:
    def limit(connection: sqlite3.Connection, pages: int) -> None:
        connection.execute(f"PRAGMA max_page_count = {pages}").fetchall()

    await database.write(lambda c: limit(c, 1))
    with pytest.raises(DatabaseUnavailable) as refused:
        await database.write(note("x" * 100_000))
    assert refused.value.reason == "full"
    await database.write(lambda c: limit(c, 1_000_000))
    await database.write(note("a"))
    assert await database.read(texts) == ["a"]


async def test_a_replaceable_file_is_begun_anew(path: Path) -> None:
    database = Database.open(path, [NOTES], replaceable=True)
    await database.write(note("old"))
    delete(path)
    assert await database.read(texts) == []
    await database.write(note("new"))
    assert await database.read(texts) == ["new"]
    database.close()


async def test_a_file_in_use_that_was_replaced_is_said_to_be_broken(
    database: Database, path: Path
) -> None:
    delete(path)
    connect(path, [NOTES]).close()
    for _ in range(2):
        with pytest.raises(DatabaseUnavailable, match="restart the sidecar") as refused:
            await database.write(note("a"))
        assert refused.value.reason == "broken"


async def test_short_jobs_are_done_by_the_loop_and_long_ones_are_not(database: Database) -> None:
    def here(_: object) -> bool:
        return threading.current_thread() is threading.main_thread()

    assert await database.write(here) is await database.read(here) is True
    assert await database.write(here, long=True) is await database.read(here, long=True) is False


async def test_the_loop_reads_a_file_that_others_write_and_leaves_what_may_wait_to_a_thread(
    path: Path,
) -> None:
    def thread(_: object) -> int:
        return threading.get_ident()

    shared = Database.open(path, [NOTES], replaceable=True)
    assert await shared.read(thread) == threading.get_ident()
    assert await shared.write(thread) != threading.get_ident()
    delete(path)
    assert await shared.read(thread) != threading.get_ident()  # a new file has to be opened
    shared.close()


async def test_what_waits_together_is_synced_together(database: Database) -> None:
    statements: list[str] = []
    await database.write(lambda c: c.set_trace_callback(statements.append))
    await asyncio.gather(*(database.write(note(str(number))) for number in range(50)))
    await database.write(lambda c: c.set_trace_callback(None))
    assert statements.count("COMMIT") == 2  # of the first job here, and of the fifty


async def test_the_loop_goes_on_while_another_process_holds_the_file(path: Path) -> None:
    database = Database.open(path, [NOTES], patience_seconds=60.0)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    began = time.monotonic()
    waiting = asyncio.create_task(database.write(note("a")))
    for _ in range(5):
        await asyncio.sleep(0.02)
    assert time.monotonic() - began < 60.0
    other.execute("ROLLBACK")
    await asyncio.wait_for(waiting, 30)
    other.close()
    database.close()


async def test_closing_finishes_what_was_asked_though_the_loop_itself_closes(path: Path) -> None:
    database = Database.open(path, [NOTES])
    asked = [asyncio.ensure_future(database.write(note(text))) for text in "abc"]
    await asyncio.sleep(0)  # they wait in the database's queue
    database.close()
    await asyncio.gather(*asked)
    connection = connect(path, [NOTES])
    assert texts(connection) == ["a", "b", "c"]
    connection.close()


async def test_a_closed_file_refuses_at_once(path: Path) -> None:
    database = Database.open(path, [NOTES])
    database.close()
    with pytest.raises(DatabaseUnavailable) as refused:
        await database.write_sometime(texts)
    assert refused.value.reason == "closed"


def test_a_file_is_for_its_owner_alone_with_what_sqlite_puts_beside_it(
    database: Database, path: Path
) -> None:
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert modes == {"notes.db": 0o600, "notes.db-wal": 0o600, "notes.db-shm": 0o600}
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_every_commit_is_synced(path: Path) -> None:
    with connect(path) as connection:
        pragmas = ("journal_mode", "synchronous", "auto_vacuum")
        said = [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in pragmas]
    assert said == ["wal", 2, 2]
    connection.close()


def test_an_upgrade_keeps_the_data_and_leaves_other_rooms_alone(path: Path) -> None:
    first = connect(path, [NOTES, Schema("other", ("CREATE TABLE other (n INTEGER);",))])
    first.execute("INSERT INTO notes VALUES ('kept')")
    first.close()
    newer = Schema("notes", (*NOTES.migrations, "ALTER TABLE notes ADD COLUMN stars INTEGER;"))
    second = connect(path, [newer])
    assert second.execute("SELECT text, stars FROM notes").fetchall() == [("kept", None)]
    second.close()


def test_a_migration_that_fails_leaves_the_version_before(path: Path) -> None:
    connect(path, [NOTES]).close()
    broken = Schema("notes", (*NOTES.migrations, "CREATE TABLE more (n);\nCREATE TABLE notes (n);"))
    with pytest.raises(sqlite3.OperationalError):
        connect(path, [broken])
    connection = connect(path, [NOTES])
    assert connection.execute("SELECT name FROM sqlite_master WHERE name = 'more'").fetchall() == []
    connection.close()


def test_data_of_a_newer_program_is_refused_by_name(path: Path) -> None:
    connect(path, [Schema("notes", (*NOTES.migrations, "CREATE TABLE more (n);"))]).close()
    with pytest.raises(DataUnusable, match="newer retunable"):
        connect(path, [NOTES])


def test_a_file_that_is_no_database_is_said_to_be_broken(path: Path) -> None:
    path.parent.mkdir(mode=0o700)
    path.write_bytes(b"no database at all, but long enough to be looked at" * 100)
    with pytest.raises(DatabaseUnavailable) as refused:
        connect(path, [NOTES])
    assert refused.value.reason == "broken"
