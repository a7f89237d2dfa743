"""On PostgreSQL a publication can be a part of the caller's own transaction, and holds nobody up."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager
from functools import partial

import psycopg
import pytest

from retunable.config.items import Item
from retunable.release.landing import Landed, Outrun, Publication
from retunable.release.postgres_table import ConfigurationTable, Connection, Row
from retunable.release.publishing.one_database import is_one_database
from retunable.release.publishing.site import ControlPlane
from retunable.release.store_url import StoreURL
from tests.contract.publication.databases import Databases
from tests.contract.publication.worlds import SITE, World, put, running, save

pytestmark = pytest.mark.postgresql
KEY = "support_bot"


@pytest.fixture
def url(databases: Databases) -> str:
    return databases.empty("ours")


@pytest.fixture
def connection(url: str) -> Iterator[Connection]:
    with psycopg.connect(url, autocommit=True) as opened:
        yield opened


def publication(generation: int) -> Publication:
    text = f'{{"retunable": 1, "generation": {generation}}}'
    return Publication(key=KEY, text=text, generation=generation, seen=None)


def plane_of(releases: str, configuration: str) -> AbstractContextManager[ControlPlane]:
    return World(releases, StoreURL.parse(configuration), together=True).plane()


def test_one_database_is_known_by_what_the_server_says_and_not_by_its_url(
    databases: Databases, url: str
) -> None:
    both = databases.empty("world")
    in_other_words = both.replace("127.0.0.1", "localhost") + "?application_name=another"

    with plane_of(both, in_other_words) as plane:
        assert is_one_database(plane)
        put(plane, SITE, save(plane, "First"))
        assert running(plane) == (1, 1, "First")
    with plane_of(both, url) as plane:
        assert not is_one_database(plane)
    with plane_of(both, f"{both}?options=-csearch_path%3Dpg_catalog") as plane:
        assert not is_one_database(plane)


def test_what_the_caller_rolls_back_was_never_published(connection: Connection) -> None:
    table = ConfigurationTable(connection, "configuration")

    def publish_and_fail() -> None:
        with connection.transaction():
            assert table.publish(publication(1)) == Landed()
            raise LookupError

    with pytest.raises(LookupError):
        publish_and_fail()
    assert table.items([KEY]) == {}


def test_the_caller_goes_on_in_its_transaction_after_a_publication_that_did_not_land(
    connection: Connection,
) -> None:
    table = ConfigurationTable(connection, "configuration")
    table.publish(publication(5))
    with connection.transaction():
        assert table.publish(publication(4)) == Outrun(5)
        connection.execute("CREATE TEMPORARY TABLE release_row ()")
    assert connection.execute("SELECT count(*) FROM release_row").fetchone() == (0,)


class Overtaken(ConfigurationTable):
    """A publisher that is stopped after each reading until one more of the others is done."""

    def __init__(self, connection: Connection, others: list[Callable[[], object]]) -> None:
        super().__init__(connection, "configuration")
        self.others = others

    def _rows(self, keys: Collection[str], *, lock: bool = False) -> list[Row]:
        rows = super()._rows(keys, lock=lock)
        if self.others:
            self.others.pop(0)()
        return rows


def test_nothing_is_locked_while_a_publisher_decides(connection: Connection, url: str) -> None:
    table = ConfigurationTable(connection, "configuration")
    table.publish(publication(1))

    with psycopg.connect(url, autocommit=True) as other:
        slow = Overtaken(other, [lambda: table.publish(publication(5))])
        assert slow.publish(publication(4)) == Outrun(5)
    assert table.items([KEY])[KEY] == Item('{"retunable": 1, "generation": 5}', "2")


def test_the_highest_generation_lands_however_many_lower_ones_were_faster(
    connection: Connection, url: str
) -> None:
    table = ConfigurationTable(connection, "configuration")
    lower = [partial(table.publish, publication(generation)) for generation in range(1, 20)]

    with psycopg.connect(url, autocommit=True) as other:
        assert Overtaken(other, [*lower]).publish(publication(20)) == Landed()
    assert table.items([KEY])[KEY] == Item('{"retunable": 1, "generation": 20}', "20")
