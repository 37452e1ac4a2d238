"""docs/kubernetes/values.yaml: its structure, and that all it names is there."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

pytestmark = pytest.mark.unit

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "docs" / "kubernetes" / "values.yaml"
VALUES: dict[str, Any] = yaml.safe_load(FILE.read_text(encoding="utf-8"))
PAGE = (ROOT / "docs" / "several-machines.md").read_text(encoding="utf-8")
BASE, PEAK = 128, 200  # MB of Airflow in a task's pod, and the most that a task takes
# Options of ours and of a provider that only the image holds.
OTHER_OPTIONS = {"querymirror.specs_read_only", "kubernetes_executor.worker_pods_creation_batch_size"}


def mebibytes(text: str) -> int:
    """Returns an amount of memory as Kubernetes writes it."""
    return int(text[:-2]) * {"Mi": 1, "Gi": 1024}[text[-2:]]


def test_structure_is_valid() -> None:
    """The file fits the schema of what we use of the chart's values: a misspelt key would be passed over in silence."""
    schema = json.loads((ROOT / "tests/cases/airflow_chart.schema.json").read_text(encoding="utf-8"))
    assert [f"{'/'.join(map(str, error.absolute_path))}: {error.message}" for error in Draft202012Validator(schema).iter_errors(VALUES)] == []


def test_settings_are_airflows() -> None:
    """Every option of `config` is one of the Airflow that is installed."""
    found = importlib.util.find_spec("airflow")
    files = [Path(place) / "config_templates" / "config.yml" for place in (found.submodule_search_locations or []) if found]  # type: ignore[union-attr]
    options = {
        f"{name}.{option}"
        for file in files
        if file.exists()
        for name, section in yaml.safe_load(file.read_text(encoding="utf-8")).items()
        for option in section["options"]
    }
    assert options
    named = {f"{section}.{option}" for section, given in VALUES["config"].items() for option in given}
    assert named - options == OTHER_OPTIONS


def test_image_is_the_one_that_is_built() -> None:
    """Version and tag are those of the Dockerfile, and the folders are where it puts them."""
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    version = re.search(r"^ARG AIRFLOW_VERSION=(.+)$", dockerfile, re.MULTILINE)
    assert version is not None
    assert VALUES["airflowVersion"] == VALUES["defaultAirflowTag"] == version[1]
    given = {variable["name"]: variable["value"] for variable in VALUES["env"]}
    assert set(given) == {"QUERYMIRROR_INCLUDE", "PYTHONPATH"}
    assert [name for name, value in given.items() if f"{name}={value}" not in dockerfile] == []
    assert VALUES["config"]["core"]["plugins_folder"] == given["PYTHONPATH"]


def test_every_connection_of_the_jobs_is_a_secret() -> None:
    """Each connection that include/jobs and settings.yaml name reaches every pod, from a secret."""
    texts = [file.read_text(encoding="utf-8") for file in [*(ROOT / "include/jobs").glob("*.yaml"), ROOT / "include/settings.yaml"]]
    named = {conn_id for text in texts for conn_id in re.findall(r"conn_id: *(\w+)", text)}
    assert {secret["envName"]: secret["secretKey"] for secret in VALUES["secret"]} == {f"AIRFLOW_CONN_{conn_id.upper()}": conn_id for conn_id in named}


def test_every_secret_is_told_how_to_make() -> None:
    """The page has the command that makes each secret, with the keys that are read from it."""
    chart = {
        "airflow-metadata": "connection",
        "airflow-fernet-key": "fernet-key",
        "airflow-api-secret-key": "api-secret-key",
        "airflow-jwt-secret": "jwt-secret",
    }
    named = {VALUES["data"]["metadataSecretName"], *(VALUES[key] for key in VALUES if key.endswith("SecretName") or key == "jwtSecretName")}
    assert named == set(chart)
    wanted = [(secret["secretName"], secret["secretKey"]) for secret in VALUES["secret"]] + list(chart.items())
    made = dict(re.findall(r"create secret generic (\S+)(.*)", PAGE.replace("\\\n", " ")))
    assert [(name, key) for name, key in wanted if f"--from-literal={key}=" not in made.get(name, "")] == []


def test_a_task_fits_into_its_pod() -> None:
    """The memory that a pod is promised holds Airflow and the most that a task takes; the limit leaves half as much again."""
    resources = VALUES["workers"]["kubernetes"]["resources"]
    assert mebibytes(resources["requests"]["memory"]) >= BASE + PEAK
    assert mebibytes(resources["limits"]["memory"]) >= (BASE + PEAK) * 1.5


def test_no_part_that_must_go_on_stands_alone() -> None:
    """Triggerer, scheduler and api-server have a second instance, and one of them stays when nodes are emptied."""
    for part in ("triggerer", "scheduler", "apiServer"):
        assert VALUES[part]["replicas"] >= 2, part
        assert VALUES[part]["podDisruptionBudget"] == {"enabled": True}, part
