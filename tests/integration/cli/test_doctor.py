"""The doctor finds each planted fault, and names its mend."""

from __future__ import annotations

from pathlib import Path

import pytest

from dev.postgres import PostgresServer
from dev.processes import wait_until
from dev.redis import RedisServer
from dev.stack import RedisStack
from retunable.config.items import Item
from retunable.release.opening import open_writer
from retunable.release.store_url import StoreURL
from tests.integration.cli.conftest import Ended, Retune
from tests.integration.cli.live_agent import FRESH, FollowingAgent, a_declaration, served
from tests.unit.serve.standin import StandInAgent


def findings(ended: Ended, subject: str) -> list[tuple[str, str, str]]:
    """Return severity, what was seen and the mend of one subject's findings."""
    return [
        (finding["severity"], finding["seen"], finding["mend"])
        for finding in ended.json["findings"]
        if finding["subject"] == subject
    ]


def only_bad(ended: Ended, subject: str) -> tuple[str, str, str]:
    (found,) = (finding for finding in findings(ended, subject) if finding[0] != "ok")
    return found


def examined(retune: Retune, url: str) -> Ended:
    return retune("doctor", "--store", url, "--json")


class TestRedis:
    def test_nothing_is_wrong_with_ours(self, retune: Retune, redis_server: RedisServer) -> None:
        ended = examined(retune, redis_server.url)
        assert ended.code == 0
        for subject in ("store", "redis rights", "redis events", "durability"):
            assert {severity for severity, _, _ in findings(ended, subject)} == {"ok"}

    @pytest.mark.parametrize(
        ("flags", "seen"), [("", "channel"), ("E$gx", "channel"), ("Kx", "SET"), ("K$", "DEL")]
    )
    def test_notify_flags_that_are_off(
        self, retune: Retune, redis_server: RedisServer, flags: str, seen: str
    ) -> None:
        with redis_server.client() as client:
            client.config_set("notify-keyspace-events", flags)
        ended = examined(retune, redis_server.url)
        severity, said, mend = only_bad(ended, "redis events")
        assert (ended.code, severity) == (5, "error")
        assert seen in said
        assert mend.startswith("redis-cli CONFIG SET notify-keyspace-events 'Kg$xe'")

    def test_the_alias_for_all_events_is_enough(
        self, retune: Retune, redis_server: RedisServer
    ) -> None:
        with redis_server.client() as client:
            client.config_set("notify-keyspace-events", "KA")
        assert examined(retune, redis_server.url).code == 0

    @pytest.mark.usefixtures("redis_program")
    def test_flags_that_a_restart_would_forget(self, retune: Retune, tmp_path: Path) -> None:
        with RedisServer(tmp_path / "bare", notify=False) as server, server.client() as client:
            client.config_set("notify-keyspace-events", "Kg$xe")
            severity, seen, mend = only_bad(examined(retune, server.url), "redis events")
        assert (severity, "forgets" in seen) == ("warning", True)
        assert "notify-keyspace-events Kg$xe" in mend

    def test_a_user_without_config_and_channels(
        self, retune: Retune, redis_server: RedisServer
    ) -> None:
        with redis_server.client() as client:
            client.execute_command(
                "ACL SETUSER app on nopass ~* resetchannels +@all -@admin -@dangerous +info"
            )
        ended = examined(retune, redis_server.url.replace("redis://", "redis://app:any@"))
        assert only_bad(ended, "redis rights")[0] == "error"
        assert "&*" in only_bad(ended, "redis rights")[2]
        assert "redis.conf" in only_bad(ended, "redis events")[2]

    def test_a_store_that_forgets(self, retune: Retune, redis_server: RedisServer) -> None:
        with redis_server.client() as client:
            client.config_set("appendonly", "no")
        severity, seen, mend = only_bad(examined(retune, redis_server.url), "durability")
        assert (severity, "restart loses all" in seen) == ("warning", True)
        assert "appendonly yes" in mend

    def test_a_memory_policy_that_drops_configuration(
        self, retune: Retune, redis_server: RedisServer
    ) -> None:
        with redis_server.client() as client:
            client.config_set("maxmemory", "50mb")
            client.config_set("maxmemory-policy", "allkeys-lru")
        assert "noeviction" in only_bad(examined(retune, redis_server.url), "durability")[2]

    def test_a_secret_in_the_store(self, retune: Retune, redis_server: RedisServer) -> None:
        with redis_server.client() as client:
            client.set("llm_api_key", "sk-hunter2")
        ended = examined(retune, redis_server.url)
        severity, _, mend = only_bad(ended, "secrets")
        assert (severity, mend.startswith("redis-cli DEL llm_api_key")) == ("error", True)
        assert "hunter2" not in ended.out

    def test_a_store_that_is_away(self, retune: Retune) -> None:
        ended = examined(retune, "redis://u:hunter2@127.0.0.1:1")
        assert (ended.code, only_bad(ended, "store")[0]) == (5, "error")
        assert "hunter2" not in ended.out


class TestPostgreSQL:
    def test_nothing_is_wrong_with_ours(self, retune: Retune, our_postgres: PostgresServer) -> None:
        ended = examined(retune, our_postgres.url)
        assert ended.code == 0
        for subject in ("table", "trigger", "audit"):
            assert {severity for severity, _, _ in findings(ended, subject)} == {"ok"}

    def test_the_limits_of_the_documented_table(
        self, retune: Retune, documented_postgres: PostgresServer
    ) -> None:
        ended = examined(retune, documented_postgres.url)
        assert ended.code == 0
        for subject, seen in (("table", "not unique"), ("trigger", "8,000"), ("audit", "nobody")):
            severity, said, mend = only_bad(ended, subject)
            assert (severity, seen in said) == ("warning", True)
            assert mend.endswith("-f sql/configuration.sql")

    @pytest.mark.parametrize(
        ("fault", "subject", "seen"),
        [
            ("ALTER TABLE configuration ADD COLUMN note text", "table", "exactly"),
            ("ALTER TABLE configuration DISABLE TRIGGER config", "trigger", "disabled"),
            ("DROP TRIGGER config ON configuration", "trigger", "none"),
            ("ALTER TABLE configuration ALTER version TYPE int USING 1", "table", "ends daprd"),
            (
                "CREATE OR REPLACE TRIGGER config AFTER INSERT OR UPDATE ON configuration "
                "FOR EACH ROW EXECUTE FUNCTION notify_event()",
                "trigger",
                "DELETE is not announced",
            ),
            ("DROP TABLE configuration", "table", "does not exist"),
            (
                "ALTER TABLE configuration RENAME TO other; "
                "CREATE VIEW configuration AS SELECT * FROM other",
                "table",
                "is a view",
            ),
            ("INSERT INTO configuration VALUES ('llm_api_key', 'sk-1', '1')", "secrets", "lies in"),
        ],
    )
    def test_a_planted_fault_is_an_error(
        self,
        retune: Retune,
        documented_postgres: PostgresServer,
        fault: str,
        subject: str,
        seen: str,
    ) -> None:
        with documented_postgres.connect() as connection:
            connection.execute(fault.encode())
        ended = examined(retune, documented_postgres.url)
        assert ended.code == 5
        errors = [finding for finding in findings(ended, subject) if finding[0] == "error"]
        assert any(seen in said for _, said, _ in errors)
        assert all(mend for _, _, mend in errors)

    @pytest.mark.parametrize(
        ("fault", "seen"),
        [
            ("ALTER TABLE configuration ALTER value DROP NOT NULL", "NULL"),
            (
                "INSERT INTO configuration VALUES ('agent_role', 'a', '1'), ('agent_role', 'b', '2')",
                "several rows",
            ),
            ("INSERT INTO configuration VALUES ('agent_role', 'a', 'v1')", "no whole number"),
        ],
    )
    def test_a_planted_weakness_is_a_warning(
        self, retune: Retune, documented_postgres: PostgresServer, fault: str, seen: str
    ) -> None:
        with documented_postgres.connect() as connection:
            connection.execute(fault.encode())
        found = findings(examined(retune, documented_postgres.url), "table")
        assert any(severity == "warning" and seen in said for severity, said, _ in found)

    def test_a_trigger_on_another_channel_than_the_component(
        self, retune: Retune, our_postgres: PostgresServer, tmp_path: Path
    ) -> None:
        (tmp_path / "resources").mkdir()
        (tmp_path / "resources" / "store.yaml").write_text(
            "kind: Component\nmetadata: {name: runtime-config}\nspec:\n"
            "  type: configuration.postgresql\n"
            "  metadata: [{name: notifyChannel, value: elsewhere}]\n"
        )
        severity, seen, mend = only_bad(examined(retune, our_postgres.url), "trigger")
        assert (severity, "'elsewhere'" in seen) == ("error", True)
        assert mend.endswith("value: config")


class TestAgents:
    def test_two_agents_in_one_place(
        self, retune: Retune, redis_server: RedisServer, tmp_path: Path
    ) -> None:
        other = StandInAgent(declaration=a_declaration("other-agent"))
        writer = open_writer(StoreURL.parse(redis_server.url))
        with served(FollowingAgent(store=writer, status=FRESH), tmp_path), served(other, tmp_path):
            ended = retune(
                "doctor", "--agent", "other-agent", "--store", redis_server.url, "--json"
            )
        writer.close()
        severity, seen, mend = only_bad(ended, "target")
        assert (severity, "config-aware-agent" in seen) == ("error", True)
        assert "prefix=" in mend

    def test_what_an_agent_rejects(
        self, retune: Retune, redis_server: RedisServer, tmp_path: Path
    ) -> None:
        agent = StandInAgent(items={"max_iterations": Item("many")})
        with served(agent, tmp_path):
            ended = examined(retune, redis_server.url)
        assert only_bad(ended, "rejected")[1].startswith("max_iterations: ")


class TestSidecar:
    def test_a_real_sidecar_is_well_and_its_missing_placement_is_seen(
        self, retune: Retune, redis_stack: RedisStack
    ) -> None:
        environment = redis_stack.environment
        words = (
            "doctor",
            "--store",
            environment["RETUNABLE_STORE"],
            "--sidecar",
            f"http://127.0.0.1:{environment['DAPR_HTTP_PORT']}",
            "--resources-path",
            str(redis_stack.resources),
            "--json",
        )
        ended = retune(*words)
        assert [f for f in ended.json["findings"] if f["severity"] == "error"] == []
        for subject in ("sidecar", "placement", "scheduler", "component", "hot reload"):
            assert findings(ended, subject)[0][0] == "ok"
        redis_stack.control_plane.placement.kill()
        wait_until(
            lambda: findings(retune(*words), "placement")[0][0] == "error",
            what="the doctor to find that placement is gone",
            within_seconds=15,
        )

    def test_a_sidecar_that_is_away(self, retune: Retune, redis_server: RedisServer) -> None:
        words = ("--store", redis_server.url, "--sidecar", "http://127.0.0.1:1", "--json")
        ended = retune("doctor", *words)
        assert (ended.code, only_bad(ended, "sidecar")[0]) == (5, "error")
