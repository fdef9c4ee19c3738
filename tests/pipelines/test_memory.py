"""What a film leaves in memory: measured in a process of its own, whose heap nobody else has used."""

import json
import subprocess
import sys
from pathlib import Path

_WORK = """
import json, threading
from pathlib import Path
from huntaze.pipelines.video.memory import memory_bound

def in_memory():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 // 2**20

def thread():
    together.wait()
    pieces = [b"x" * 100_000 for _ in range(300)]
    together.wait()

before = in_memory()
with memory_bound(1500 * 2**20):
    del_at_once = bytearray(30 * 2**20)
    del del_at_once  # from here on glibc keeps as much at the end of each arena
    pieces = [b"x" * 100_000 for _ in range(2000)]
    pinned = pieces[::20]
    del pieces
    together = threading.Barrier(8)
    threads = [threading.Thread(target=thread) for _ in range(8)]
    for one in threads: one.start()
    for one in threads: one.join()
    within = in_memory()
print(json.dumps({"before": before, "within": within, "after": in_memory()}))
"""


def test_what_threads_and_pieces_have_left_behind_goes_back_to_the_system() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _WORK], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2]
    )
    held = json.loads(done.stdout)
    assert held["within"] - held["before"] > 200, "the test has used memory"
    assert held["after"] - held["before"] < 64
