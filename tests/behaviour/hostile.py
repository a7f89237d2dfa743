"""Values that no one should write, over every key: the same 300 writes at each run of the suite."""

from __future__ import annotations

import itertools
import json
import random

from retunable.config.fields import FIELDS, SECRET_KEY
from tests.behaviour.agent_settings import AGENT, DOCUMENT_KEY

WRITES = 300
KEYS = (DOCUMENT_KEY, *(field.key for field in FIELDS), SECRET_KEY)
TEMPLATES = b"{{7*7}} ${7*7} #{7*7} <%= 7*7 %> {% if 7*7 %}x{% endif %}"


def _tombstone(**changes: object) -> bytes:
    sound = {"retunable": 1, "reset": True, "agent": AGENT, "environment": "default"}
    return json.dumps({**sound, "generation": 1, **changes}).encode()


VALUES: tuple[bytes, ...] = (
    # Not JSON, or JSON that Python takes and JSON does not
    b"{",
    b'{"role": ',
    b"NaN",
    b'{"temperature": NaN}',
    b"-Infinity",
    b"1e999",
    b"['single']",
    b'{"role": "a", "role": "b"}',
    b'{"role": "a", "ROLE": "b"}',
    # Templates, format strings, code
    TEMPLATES,
    json.dumps({"role": TEMPLATES.decode(), "goal": "{name} {0} %s %(x)s"}).encode(),
    b"{name} {0} {0.__class__} %s %(x)s",
    b"__import__('os').system('id')",
    b"'; DROP TABLE configuration; --",
    b"$(id) `id`",
    # What Redis's component takes for a version
    b"||",
    b"a||b",
    b"a||b||c",
    b"7||8",
    b'{"role": "x||y"}',
    # Bytes
    b"nul \x00 inside",
    b'{"role": "nul \\u0000 inside"}',
    b"\xff\xfe\xfa",
    b"\xc3\x28",
    b'"\\ud800"',
    b'{"role": "\\udfff"}',
    b"\xef\xbb\xbf{}",
    "\u202e right to left \u2066".encode(),
    "Ａ１٢ 𝟛".encode(),
    # Size and depth
    b"x" * 1_000_000,
    json.dumps({"role": "x" * 1_000_000}).encode(),
    json.dumps({"role": "x" * 300_000, "goal": "y"}).encode(),
    b"x" * 4_300_000,
    b"[" * 50_000,
    b'{"guardrails":' + b'{"a":' * 100 + b"{}" + b"}" * 101,
    b"[" + b'"a",' * 5_000 + b'"a"]',
    b"9" * 5_000,
    # Wrong types and ranges
    b"null",
    b"true",
    b'"text"',
    b"[]",
    b"{}",
    b"[1, 2]",
    b'["a", 1]',
    b'[["nested"]]',
    b"-1",
    b"0",
    b"1001",
    b"1.5",
    b"0x10",
    b"1_000",
    b"99999999999999999999",
    b" ",
    b"\n",
    b"",
    b'{"role": 7, "goal": "never seen alone"}',
    b'{"max_iterations": true}',
    b'{"max_iterations": "20", "goal": "never seen alone"}',
    b'{"roel": "x", "goal": "never seen alone"}',
    b'{"tools": ["no_such_tool"]}',
    b'{"provider": "no such provider"}',
    b'{"guardrails": []}',
    # Envelopes and tombstones that are not for this agent, or not whole
    b'{"retunable": 1}',
    b'{"retunable": 99, "min_retunable": "9.0.0"}',
    b'{"retunable": true}',
    _tombstone(reset=False),
    _tombstone(agent="somebody else"),
    _tombstone(environment="production"),
    _tombstone(generation=0),
    _tombstone(extra=1),
    b'{"retunable": 1, "agent": "Agent under test", "environment": "default", "generation": 5,'
    b' "stable": {"version": 1, "checksum": "1:sha256:00", "config": {}}}',
)


SECRET = "sk-hostile-secret"
# Where a secret can be told from any other text.
SECRETS: tuple[tuple[str, bytes], ...] = (
    (SECRET_KEY, SECRET.encode()),
    (DOCUMENT_KEY, f'{{"llm_api_key": "{SECRET}"}}'.encode()),
    (DOCUMENT_KEY, f'{{"role": "x", "Api-Key": "{SECRET}"}}'.encode()),
)


def hostile_writes() -> tuple[tuple[str, bytes], ...]:
    """Return 300 pairs of key and value, in which each key and each value occurs."""
    chance = random.Random(11)
    covering = {(chance.choice(KEYS), value) for value in VALUES}
    covering |= {(DOCUMENT_KEY, value) for value in VALUES if value.startswith(b"{")}
    covering |= {(key, chance.choice(VALUES)) for key in KEYS} | set(SECRETS)
    others = sorted(set(itertools.product(KEYS, VALUES)) - covering)
    # The largest cost a second each; once or twice is enough.
    small = [pair for pair in others if len(pair[1]) < 500_000]
    chosen = [*sorted(covering), *chance.sample(small, WRITES - len(covering))]
    chance.shuffle(chosen)
    return tuple(chosen)
