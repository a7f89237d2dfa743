"""`python -m bench`: run the measures, print each figure beside its floor and its goal."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench import activations, beside_daprd, embedded, machine, propagation, runs, start

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bench.series import Comparison, Outcome

MEASURES: Final[dict[str, Callable[..., Outcome]]] = {
    "start": start.measure,
    "propagation": propagation.measure,
    "runs": runs.measure,
    "embedded": embedded.measure,
    "beside-daprd": beside_daprd.measure,
    "activations": activations.measure,
}
HEAD: Final = (
    "measure",
    "floor p50 / p99",
    "ours p50 / p99",
    "ratio",
    "goal",
    "verdict",
    "spread floor / ours",
)


def main() -> int:
    """Run what was asked for; a missed goal is printed, not an error."""
    options = _options()
    loads = [machine.load()]
    outcomes: list[Outcome] = []
    with tempfile.TemporaryDirectory(prefix="retunable-bench-") as folder:
        for name in options.only or MEASURES:
            _progress(f"measuring {name} …")
            outcomes.append(MEASURES[name](Path(folder) / name, quick=options.quick))
    loads.append(machine.load())
    facts = {**machine.facts(), "before": loads[0], "after": loads[1]}
    if options.quick:
        facts["quick"] = "few rounds, for trying only"
    print(_json(facts, outcomes) if options.json else _text(facts, outcomes))
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=sorted(MEASURES), help="not all measures")
    parser.add_argument("--quick", action="store_true", help="few rounds, to see that it works")
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser.parse_args()


def _json(facts: dict[str, str], outcomes: Sequence[Outcome]) -> str:
    comparisons = [one.to_json() for outcome in outcomes for one in outcome.comparisons]
    remarks = [remark for outcome in outcomes for remark in outcome.remarks]
    body = {"facts": facts, "comparisons": comparisons, "remarks": remarks}
    return json.dumps(body, indent=2, ensure_ascii=False)


def _text(facts: dict[str, str], outcomes: Sequence[Outcome]) -> str:
    """Everything as Markdown, so that a page can hold it as it is."""
    rows = [HEAD, *(_row(one) for outcome in outcomes for one in outcome.comparisons)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    table = [_line(row, widths) for row in rows]
    table.insert(1, _line(tuple("-" * width for width in widths), widths))
    remarks = [remark for outcome in outcomes for remark in outcome.remarks]
    lines = [f"- {name}: {text}" for name, text in facts.items()]
    return "\n".join([*lines, "", *table, "", *(f"- {remark}" for remark in remarks)])


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
    return f"| {' | '.join(cells)} |"


def _row(one: Comparison) -> tuple[str, ...]:
    digits = {"s": 2, "ms": 2, "MB": 1}[one.unit]
    floor, ours = (
        f"{s.p50:.{digits}f} / {s.p99:.{digits}f} {one.unit}" for s in (one.floor, one.ours)
    )
    spread = f"{one.floor.spread:.0%} / {one.ours.spread:.0%} of {len(one.ours.values)}"
    name = f"{one.measure}: {one.quantity}"
    return (name, floor, ours, f"{one.ratio:.2f} ×", one.goal, one.verdict, spread)


def _progress(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
