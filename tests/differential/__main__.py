"""`python -m tests.differential --scenarios 300 [--seed N]`: the tracking API beside MLflow's own server."""

from __future__ import annotations

import argparse
import re
import sys
from collections import Counter

from tests.differential.differences import DIFFERENCES
from tests.differential.scenarios import ENDPOINTS, scenario
from tests.differential.sessions import session
from tests.differential.sides import both
from tests.differential.trial import Surprise, Tally, Trial, shortest

_SESSIONS = 10  # each tenth scenario is a session of the stock client


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenarios", type=int, default=300)
    parser.add_argument("--first", type=int, default=0, help="number of the first scenario")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--shrink", type=int, default=8, help="how many surprises are made short")
    asked = parser.parse_args()
    tally, found = Tally(), Counter[tuple[str, ...]]()
    sessions: dict[int, str] = {}
    first: dict[tuple[str, ...], Surprise] = {}
    with both() as pair:
        for number in range(asked.first, asked.first + asked.scenarios):
            tally.scenarios += 1
            if number % _SESSIONS == _SESSIONS - 1:
                calls, where = session(pair, asked.seed, number)
                tally.endpoints["stock client"] += calls
                if where:
                    sessions[number] = where
                continue
            for surprise in Trial(pair, tally).run(scenario(asked.seed, number)):
                surprise.scenario = f"--seed {asked.seed} --first {number} --scenarios 1"
                if surprise.signature not in found:  # at once: a long run may be worth ending
                    print(f"scenario {number}: {surprise.where[:200]}", file=sys.stderr, flush=True)
                found[surprise.signature] += 1
                first.setdefault(surprise.signature, surprise)
        for number, (signature, _) in enumerate(found.most_common()):
            if number < asked.shrink:
                first[signature] = shortest(pair, first[signature])
    print(
        f"{tally.scenarios} scenarios, {tally.calls} calls, {tally.malformed} of them malformed "
        f"({tally.malformed / max(1, tally.calls):.0%}), {len(tally.endpoints.keys() & set(ENDPOINTS))} of {len(ENDPOINTS)} endpoints"
    )
    for endpoint, count in sorted(tally.endpoints.items()):
        print(f"  {count:6} {endpoint}")
    print("documented differences:")
    for difference in DIFFERENCES:
        print(f"  {tally.documented[difference.name]:6} {difference.name}")
    if never := [d.name for d in DIFFERENCES if not tally.documented[d.name]]:
        print(f"never seen in this run: {', '.join(never)}")
    print(f"undocumented differences: {found.total() + len(sessions)} of {len(found) + len(sessions)} kinds")
    for signature, count in found.most_common():
        surprise = first[signature]
        print(f"\n--- {count}x {surprise.exchange.step.endpoint} ({surprise.scenario})\n{surprise.where}")
        for step in surprise.steps[-12:]:
            print(f"  {_short(str(step))}")
        print(f"  stock {surprise.exchange.stock.status} {_short(str(surprise.exchange.stock.doc))}")
        print(f"  ours  {surprise.exchange.ours.status} {_short(str(surprise.exchange.ours.doc))}")
    for number, where in sessions.items():
        print(f"\n--- stock client (--seed {asked.seed} --first {number} --scenarios 1)\n{where}")
    return 1 if found or sessions else 0


def _short(text: str) -> str:
    text = re.sub(r"x{100,}", lambda match: f"x...({len(match[0])})", text)
    return text if len(text) < 500 else text[:500] + "..."


if __name__ == "__main__":
    sys.exit(main())
