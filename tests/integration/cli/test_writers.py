"""The writers on real servers: atomic, exact, and with a mend in every refusal."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from dev.postgres import PostgresServer
from dev.redis import RedisServer
from retunable.config.items import Item, Unreadable
from retunable.errors import StoreWriteError
from retunable.release.opening import open_writer
from retunable.release.sqlite_writer import SQLiteWriter
from retunable.release.store_url import StoreURL
from retunable.release.writer import ConfigurationWriter

TEXTS = [
    "Zoë says 你好",
    "a|b",
    "line\nline\r\n",
    "x" * 200_000,
    "{{7*7}}",
    "  ",
    "'; DROP TABLE x;",
]


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_comes_back_as_it_was_written(writer: ConfigurationWriter, text: str) -> None:
    writer.write({"agent_role": text})
    item = writer.read(["agent_role", "agent_goal"])["agent_role"]
    assert isinstance(item, Item)
    assert item.value == text


def test_only_what_is_there_is_read(writer: ConfigurationWriter) -> None:
    writer.write({"agent_role": "x"})
    assert list(writer.read(["agent_role", "agent_goal"])) == ["agent_role"]


def test_several_keys_are_written_and_deleted_together(writer: ConfigurationWriter) -> None:
    writer.write({"agent_role": "x", "agent_goal": "y"})
    writer.write({"agent_role": None, "agent_goal": "z", "config_aware_agent": "{}"})
    items = writer.read(["agent_role", "agent_goal", "config_aware_agent"])
    assert {key: item.value for key, item in items.items() if isinstance(item, Item)} == {
        "agent_goal": "z",
        "config_aware_agent": "{}",
    }


def test_nothing_is_written_where_something_else_stands_than_was_read(
    writer: ConfigurationWriter,
) -> None:
    writer.write({"agent_role": "theirs"})
    with pytest.raises(StoreWriteError, match="run it again"):
        writer.write({"agent_goal": "ours"}, expect={"agent_role": None})
    assert writer.read(["agent_goal"]) == {}


def test_a_write_that_finds_what_it_expects_goes_through(writer: ConfigurationWriter) -> None:
    writer.write({"agent_role": "old"})
    read = writer.read(["agent_role", "agent_goal"])
    expect = {"agent_role": read["agent_role"], "agent_goal": None}
    writer.write({"agent_role": "new"}, expect=expect)
    item = writer.read(["agent_role"])["agent_role"]
    assert isinstance(item, Item)
    assert item.value == "new"


def test_an_empty_value_is_refused_for_it_would_count_as_absent(
    writer: ConfigurationWriter,
) -> None:
    with pytest.raises(StoreWriteError, match="retune unset agent_role"):
        writer.write({"agent_goal": "x", "agent_role": ""})
    assert writer.read(["agent_goal"]) == {}


class TestRedis:
    @pytest.fixture
    def redis_writer(self, redis_server: RedisServer) -> ConfigurationWriter:
        return open_writer(StoreURL.parse(redis_server.url))

    def test_two_bars_are_never_written(self, redis_writer: ConfigurationWriter) -> None:
        with pytest.raises(StoreWriteError, match="retune set --file"):
            redis_writer.write({"agent_goal": "x", "agent_role": "a||b"})
        assert redis_writer.read(["agent_goal"]) == {}
        redis_writer.close()

    def test_it_reads_as_the_sidecar_reads(
        self, redis_writer: ConfigurationWriter, redis_server: RedisServer
    ) -> None:
        with redis_server.client() as client:
            client.mset({"a": "x||3||y", "b": "||5", "c": "", "e": "x"})
            client.set("d", b"\xff")
            client.hset("f", "x", "y")
        read = redis_writer.read(["a", "b", "c", "d", "e", "f"])
        assert read == {"a": Item("x", "3"), "d": Unreadable("is not valid UTF-8"), "e": Item("x")}
        redis_writer.close()

    def test_somebodys_hash_is_not_overwritten(
        self, redis_writer: ConfigurationWriter, redis_server: RedisServer
    ) -> None:
        with redis_server.client() as client:
            client.hset("agent_role", "x", "y")
            with pytest.raises(StoreWriteError, match="redis-cli DEL agent_role"):
                redis_writer.write({"agent_goal": "x", "agent_role": "y"})
            assert client.exists("agent_goal") == 0
        redis_writer.close()

    def test_a_wrong_password_is_told_without_showing_it(self, redis_server: RedisServer) -> None:
        with redis_server.client() as client:
            client.acl_setuser("someone", enabled=True, passwords=["+right"], commands=["+@all"])
        url = redis_server.url.replace("redis://", "redis://someone:hunter2@")
        with pytest.raises(StoreWriteError, match="refuses the login") as caught:
            open_writer(StoreURL.parse(url))
        assert "hunter2" not in str(caught.value)

    def test_a_user_without_the_right_is_told_which(self, redis_server: RedisServer) -> None:
        with redis_server.client() as client:
            client.acl_setuser(
                "reader", enabled=True, nopass=True, keys=["*"], commands=["+get", "+ping", "+info"]
            )
        url = redis_server.url.replace("redis://", "redis://reader:any@")
        writer = open_writer(StoreURL.parse(url))
        with pytest.raises(StoreWriteError, match=r"\+set"):
            writer.write({"agent_role": "x"})
        writer.close()


class TestPostgreSQL:
    @pytest.fixture
    def postgres_writer(self, documented_postgres: PostgresServer) -> ConfigurationWriter:
        return open_writer(StoreURL.parse(documented_postgres.url))

    def test_each_write_raises_the_version(
        self, postgres_writer: ConfigurationWriter, documented_postgres: PostgresServer
    ) -> None:
        for text in "abc":
            postgres_writer.write({"agent_role": text})
        rows = documented_postgres.execute("SELECT value, version FROM configuration")
        assert rows == [("c", "3")]
        postgres_writer.close()

    def test_a_version_that_is_no_number_is_told_and_nothing_is_written(
        self, postgres_writer: ConfigurationWriter, documented_postgres: PostgresServer
    ) -> None:
        documented_postgres.execute("INSERT INTO configuration VALUES ('agent_role', 'x', 'v1')")
        with pytest.raises(StoreWriteError, match="'v1'"):
            postgres_writer.write({"agent_goal": "y", "agent_role": "y"})
        assert documented_postgres.execute("SELECT value FROM configuration") == [("x",)]
        postgres_writer.close()

    def test_of_several_rows_the_highest_version_counts(
        self, postgres_writer: ConfigurationWriter, documented_postgres: PostgresServer
    ) -> None:
        documented_postgres.execute(
            "INSERT INTO configuration VALUES ('agent_role', 'new', '10'), ('agent_role', 'old', '9')"
        )
        assert postgres_writer.read(["agent_role"]) == {"agent_role": Item("new", "10")}
        postgres_writer.write({"agent_role": "newest"})
        assert postgres_writer.read(["agent_role"]) == {"agent_role": Item("newest", "11")}
        postgres_writer.close()

    def test_a_value_that_the_documented_trigger_cannot_announce_is_told_the_way_out(
        self, postgres_writer: ConfigurationWriter
    ) -> None:
        with pytest.raises(StoreWriteError, match=r"-f sql/configuration\.sql"):
            postgres_writer.write({"agent_role": "x" * 9_000})
        assert postgres_writer.read(["agent_role"]) == {}
        postgres_writer.close()

    def test_what_the_tables_own_rules_refuse_is_told_in_their_words(
        self, our_postgres: PostgresServer
    ) -> None:
        writer = open_writer(StoreURL.parse(our_postgres.url))
        with pytest.raises(StoreWriteError, match="max_iterations must be an integer"):
            writer.write({"agent_role": "x", "max_iterations": "many"})
        assert writer.read(["agent_role"]) == {}
        writer.close()

    def test_a_database_without_the_table_is_told_the_file_to_apply(
        self, postgres_server: PostgresServer
    ) -> None:
        writer = open_writer(StoreURL.parse(postgres_server.url))
        with pytest.raises(StoreWriteError, match=r"-f sql/configuration\.sql"):
            writer.read(["agent_role"])
        writer.close()


@pytest.mark.embedded
class TestSQLite:
    @pytest.fixture
    def file_writer(self, embedded_file: str) -> ConfigurationWriter:
        return open_writer(StoreURL.parse(embedded_file))

    def test_each_write_raises_the_version(self, file_writer: ConfigurationWriter) -> None:
        versions = []
        for text in "abc":
            file_writer.write({"agent_role": text})
            item = file_writer.read(["agent_role"])["agent_role"]
            assert isinstance(item, Item)
            versions.append(int(item.version))
        assert versions == sorted(set(versions))

    def test_two_components_of_one_file_do_not_see_each_other(self, embedded_file: str) -> None:
        ours = open_writer(StoreURL.parse(embedded_file))
        theirs = open_writer(StoreURL.parse(embedded_file, component="another"))
        theirs.write({"agent_role": "theirs"})
        assert ours.read(["agent_role"]) == {}

    def test_a_file_that_is_not_there_is_not_made(self, tmp_path: Path) -> None:
        with pytest.raises(StoreWriteError, match=r"python agent\.py"):
            open_writer(StoreURL.parse(f"sqlite://{tmp_path}/typo/configuration.db"))
        assert not (tmp_path / "typo").exists()

    def test_a_file_that_somebody_holds_is_told_and_nothing_is_written(
        self, embedded_file: str
    ) -> None:
        writer = SQLiteWriter(StoreURL.parse(embedded_file), patience_seconds=0.1)
        with closing(sqlite3.connect(StoreURL.parse(embedded_file).path)) as holder:
            holder.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreWriteError, match="nothing was written"):
                writer.write({"agent_role": "x"})
        assert writer.read(["agent_role"]) == {}

    def test_bytes_that_are_no_text_are_read_as_such(self, embedded_file: str) -> None:
        url = StoreURL.parse(embedded_file)
        with closing(sqlite3.connect(url.path)) as connection:
            row = ("runtime-config", "agent_role", b"\xff")
            connection.execute(
                "INSERT INTO configuration (store, key, value) VALUES (?, ?, CAST(? AS TEXT))", row
            )
            connection.commit()
        assert open_writer(url).read(["agent_role"]) == {
            "agent_role": Unreadable("is not valid UTF-8")
        }
