"""What others' clients of models are to import: each in an environment of its own, kept in the user's cache."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

PEERS = ("litellm", "openai")
_INSTALL_S = 300.0
_MEASURE = """
import json, sys, time
begun, cpu = time.perf_counter(), time.process_time()
__import__(sys.argv[1])
seconds, cpu = time.perf_counter() - begun, time.process_time() - cpu
with open("/proc/self/status") as status:  # ru_maxrss would be that of whoever forked
    resident = next(int(line.split()[1]) for line in status if line.startswith("VmRSS:"))
print(json.dumps([seconds, cpu, resident / 1024]))
"""


@dataclass(frozen=True)
class Imported:
    """What one import took, the interpreter's own start left out: seconds on the wall, and of a core. `mib`: resident
    afterwards, the interpreter included."""

    seconds: float
    cpu_s: float
    mib: float


def imported(module: str, python: Path | None = None) -> Imported:
    """Imports the module in a fresh process, of our own environment or of another."""
    ran = subprocess.run(
        [str(python or sys.executable), "-c", _MEASURE, module], capture_output=True, text=True, check=True, timeout=120
    )
    return Imported(*json.loads(ran.stdout.splitlines()[-1]))


def peers(note: Callable[[str], None]) -> dict[str, Path]:
    """The interpreters of the peers that could be installed; what could not is said."""
    found, uv = {}, Path(sys.executable).with_name("uv")
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "huntaze-bench"
    for name in PEERS:
        home = cache / name
        python = home / "bin" / "python"
        try:
            if not python.exists():
                subprocess.run(
                    [uv, "venv", "--quiet", "--python", sys.executable, home], check=True, timeout=_INSTALL_S
                )
            install = [uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", python, name]
            subprocess.run(install, check=True, timeout=_INSTALL_S)
        except (OSError, subprocess.SubprocessError) as error:
            note(f"{name} is not measured: it could not be installed ({type(error).__name__})")
            shutil.rmtree(home, ignore_errors=True)
            continue
        found[name] = python
    return found
