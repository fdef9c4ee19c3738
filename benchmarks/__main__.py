"""All benchmarks, one after the other: `python -m benchmarks [--full] [--json]`."""

import argparse
import json
from collections.abc import Callable

from benchmarks import (
    ai,
    ai_budget,
    ai_hits,
    analytics,
    analytics_reads,
    api,
    billing,
    demo,
    engine,
    recommend,
    trends,
    trends_ingest,
    video,
    video_fleet,
)
from benchmarks.rig.report import Options, Report, merged

ALL: dict[str, Callable[[Options], Report]] = {
    "demo": demo.run,
    "api": api.run,
    "engine": engine.run,
    "trends": trends.run,
    "trends_ingest": trends_ingest.run,
    "recommend": recommend.run,
    "video": video.run,
    "video_fleet": video_fleet.run,
    "ai": ai.run,
    "ai_budget": ai_budget.run,
    "ai_hits": ai_hits.run,
    "analytics": analytics.run,
    "analytics_reads": analytics_reads.run,
    "billing": billing.run,
}


def main() -> None:
    """Quick sizes unless told otherwise. Each table is shown when its benchmark is done."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--full", action="store_true", help="the sizes of the README's figures: ten minutes or more")
    parser.add_argument("--quick", action="store_true", help="small sizes, the default")
    parser.add_argument("--json", action="store_true", help="the last line is one JSON object of all figures")
    chosen = parser.parse_args()
    reports = {}
    for name, run in ALL.items():
        reports[name] = run(Options(quick=not chosen.full, json=False))
        reports[name].print(Options(quick=not chosen.full, json=False))
    if chosen.json:
        print(json.dumps(merged(reports)))


if __name__ == "__main__":
    main()
