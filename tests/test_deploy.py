"""The examples in deploy/ and the pages that explain them speak of figures and variables that exist."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import generate_latest

from huntaze.api.metrics import Metrics
from huntaze.models.database import Sessions
from huntaze.settings import GROUPS, variable
from huntaze.worker.job_metrics import JobMetrics
from huntaze.worker.metrics import BeatMetrics, DispatcherMetrics, node_registry

ROOT = Path(__file__).resolve().parents[1]
FILES = sorted(path for path in (ROOT / "deploy").rglob("*") if path.suffix in (".yaml", ".json"))
PAGES = [ROOT / "docs" / "autoscaling.md", ROOT / "docs" / "decisions" / "0008-worker-metrics.md"]


def documents(path: Path) -> list[Any]:
    text = path.read_text()
    return list(yaml.safe_load_all(text)) if path.suffix == ".yaml" else [json.loads(text)]


def exposed(sessions: Sessions) -> str:
    """All that the processes show."""
    api = Metrics()
    api.watch_backlog(sessions)
    registries = [node_registry(JobMetrics(), 1), DispatcherMetrics().registry, BeatMetrics().registry]
    return "\n".join([api.render().decode(), *(generate_latest(registry).decode() for registry in registries)])


def environment(container: dict[str, Any]) -> dict[str, str]:
    return {one["name"]: one["value"] for one in container.get("env", container.get("environment", []))}


@pytest.mark.parametrize("path", [*FILES, *PAGES], ids=lambda path: path.name)
def test_every_figure_that_is_named_exists(path: Path, sessions: Sessions) -> None:
    if path in FILES:
        assert documents(path)
    there = exposed(sessions)
    names = set(re.findall(r"\bhuntaze_[a-z_]+", path.read_text()))
    assert [name for name in sorted(names) if not re.search(rf"\b{name}\b", there)] == []


@pytest.mark.parametrize("path", [*FILES, *PAGES], ids=lambda path: path.name)
def test_every_variable_that_is_named_exists(path: Path) -> None:
    known = {variable(group, field) for group in GROUPS.values() for field in group.model_fields}
    assert set(re.findall(r"HUNTAZE_[A-Z_]+", path.read_text())) <= known


def test_the_platform_waits_longer_than_the_grace() -> None:
    task = documents(ROOT / "deploy" / "ecs" / "task-worker-video.json")[0]["containerDefinitions"][0]
    deployment = documents(ROOT / "deploy" / "keda" / "worker-video.yaml")[0]["spec"]["template"]["spec"]
    for patience, container in (
        (task["stopTimeout"], task),
        (deployment["terminationGracePeriodSeconds"], deployment["containers"][0]),
    ):
        assert patience >= float(environment(container)["HUNTAZE_WORKER_GRACE_S"]) + 15
    assert task["stopTimeout"] <= 120, "the most that Fargate takes"


def test_keda_scales_the_deployment_beside_it() -> None:
    deployment, scaled, budget = documents(ROOT / "deploy" / "keda" / "worker-video.yaml")
    assert scaled["spec"]["scaleTargetRef"]["name"] == deployment["metadata"]["name"]
    assert budget["spec"]["selector"] == deployment["spec"]["selector"]
    assert (
        scaled["spec"]["minReplicaCount"] <= scaled["spec"]["fallback"]["replicas"] <= scaled["spec"]["maxReplicaCount"]
    )
