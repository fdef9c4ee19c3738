"""Detection: the Numenta Anomaly Benchmark on five files, and rounds of scoring over 100,000 topics."""

from benchmarks.rig import nab, scoring
from benchmarks.rig.nab import Choice, Nab
from benchmarks.rig.processes import rig
from benchmarks.rig.report import Options, Report, parse_options
from huntaze.pipelines.trends.detector import Detector

HOURS = 336
FRAMES = 100  # a frame is a source under a cap, and a round has many
PARTS = ("nab", "memory", "tables")


def main() -> None:
    options = parse_options(__doc__ or "", PARTS)
    run(options).print(options)


def run(options: Options) -> Report:
    """All parts, or those that were named. `quick`: a tenth of the topics, and no leave-one-out."""
    report, topics = Report("trends"), 10_000 if options.quick else 100_000
    report.sizes = {"topics": topics, "hours": HOURS}
    parts = options.only or PARTS
    if "nab" in parts:
        _nab(report, options)
    if "memory" in parts:
        _memory(report, topics)
    if "tables" in parts:
        _tables(report, topics)
    return report


def _nab(report: Report, options: Options) -> None:
    if not (nab.SHARED / "data" / "nab").exists():
        report.note("the benchmark's files are not beside the project: left out")
        return
    found, ours = Nab(), Detector()
    report.note(f"{len(found.names)} files of the Numenta Anomaly Benchmark")
    alarms = found.alarms(Choice(ours.memory_d, ours.threshold, ours.cool_down_h))
    for profile in nab.PROFILES:
        target = "> 88" if profile == "standard" else ""
        report.add(f"nab_{profile.lower()}", found.judge(alarms, profile), "", f"NAB at 1.0: {profile}", target)
    report.add("nab_artime", nab.ARTIME[0], "", "  published: ARTime, at its own threshold")
    report.add("nab_artime_best", nab.ARTIME[1], "", "  published: ARTime, at the best one in hindsight")
    if options.quick:
        return
    report.note("leave one out, over 45 choices")
    score, chosen = found.leave_one_out()
    report.add("nab_leave_one_out", score, "", "NAB, each file under what the others chose", "> 85")
    for name, choice in chosen.items():
        report.note(f"  without {name.rpartition('/')[2]}: {choice}")


def _memory(report: Report, topics: int) -> None:
    report.note(f"{topics:,} topics through {HOURS} hours, in memory")
    counts = scoring.made_counts(topics, HOURS)
    found = scoring.replay(counts)
    report.add("replay_s", found.seconds, "s", f"{topics:,} topics x {HOURS} h, one core", "< 10 s")
    report.add("topic_hours_per_s", counts.size / found.seconds, "/s", "  topics and hours scored")
    report.add("alarms_per_topic_month", found.alarms / topics / HOURS * 720, "", "  alarms a topic and 30 d, of noise")
    report.add("state_bytes", Detector().state_bytes, "bytes", "  memory a topic")


def _tables(report: Report, topics: int) -> None:
    report.note(f"rounds of {topics:,} topics from and to PostgreSQL")
    with rig() as stores:
        report.versions = stores.store_versions()
        first, *others = scoring.rounds(stores, topics, 3)
        at_rest = scoring.state_bytes_at_rest(stores)
        report.note(f"the same topics in {FRAMES} frames")
        *_, apart = scoring.rounds(stores, topics, 2, FRAMES)
    last = others[-1]
    about = f"an hour's round of {topics:,} topics from and to the tables"
    report.add("round_s", last["all"], "s", about, "< 10 s")
    for part in ("load", "score", "store"):
        report.add(f"round_{part}_s", last[part], "s", f"  {part}")
    report.add("round_ours_cpu_s", last["ours"], "s", "  core time of our process")
    report.add("round_postgres_cpu_s", last["theirs"], "s", "  core time of PostgreSQL's")
    report.add(
        "frames_round_s", apart["all"], "s", f"  of {FRAMES} frames with {topics // FRAMES:,} topics each", "< 10 s"
    )
    report.add("frames_ours_cpu_s", apart["ours"], "s", "    core time of our process")
    report.add("frames_postgres_cpu_s", apart["theirs"], "s", "    core time of PostgreSQL's")
    report.add("first_round_s", first["all"], "s", "  the first, which makes them")
    report.add("state_at_rest_bytes", at_rest / topics, "bytes", "  memory a topic at rest, with its key")


if __name__ == "__main__":
    main()
