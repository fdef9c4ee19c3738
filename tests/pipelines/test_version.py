import shutil
import subprocess
import sys
from pathlib import Path

import huntaze.pipelines.video
from huntaze.pipelines.video.version import extractor_version, version_of

FOLDER = Path(huntaze.pipelines.video.__file__).parent
_LOADED = """
import sys, huntaze.pipelines.video.extract
print(*(name for name in sys.modules if name.startswith("huntaze.")))
"""


def test_any_change_of_the_pipeline_is_another_version(tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(FOLDER, copy)
    assert version_of(copy) == extractor_version()
    seen = {version_of(copy)}
    for path in sorted(copy.glob("*.py")):
        path.write_bytes(path.read_bytes() + b"\n")
        seen.add(version_of(copy))
    (copy / "extract.py").rename(copy / "renamed.py")
    seen.add(version_of(copy))
    assert len(seen) == len(list(copy.glob("*.py"))) + 2


def test_the_version_covers_all_that_makes_pictures() -> None:
    """Nothing of ours outside of the folder has a part in it, but for the errors' base."""
    done = subprocess.run([sys.executable, "-c", _LOADED], capture_output=True, text=True, check=True)
    outside = {name for name in done.stdout.split() if not name.startswith("huntaze.pipelines.video")}
    assert outside == {"huntaze.pipelines", "huntaze.pipelines.errors"}
