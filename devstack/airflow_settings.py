"""What the embedded Airflow is told through its environment."""

from __future__ import annotations

import base64
import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from devstack.postgres import PostgresServer

# User name -> (role, password): it listens on this machine only.
USERS: Mapping[str, tuple[str, str]] = {"admin": ("admin", "admin"), "viewer": ("viewer", "viewer")}


def specs_bundle(**options: float) -> str:
    """Returns the value of `[dag_processor] dag_bundle_config_list` for the product's bundle over the DAGs folder; options are those of `SpecsBundle`."""
    return json.dumps([{"name": "dags-folder", "classpath": "querymirror.dag_bundle.SpecsBundle", "kwargs": options}])


# Found by measuring: half a second a task instead of 1.3, a killed task noticed within half a minute instead of five.
TUNED: Mapping[str, str] = {
    "AIRFLOW__CORE__PARALLELISM": "16",
    "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2",
    "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "20",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
    "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "15",
    "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "15",
    "AIRFLOW__SCHEDULER__MAX_DAGRUNS_TO_CREATE_PER_LOOP": "100",
    "AIRFLOW__SCHEDULER__MAX_DAGRUNS_PER_LOOP_TO_SCHEDULE": "100",
    "AIRFLOW__SCHEDULER__MAX_TIS_PER_QUERY": "64",
    "AIRFLOW__TRIGGERER__MAX_TRIGGER_TO_SELECT_PER_LOOP": "200",
    # A spec that is dropped or changed is seen within a look of the bundle and a parse; one that was removed goes by the other two.
    "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": specs_bundle(refresh_interval=5),
    "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "10",
    "AIRFLOW__DAG_PROCESSOR__STALE_DAG_THRESHOLD": "5",
    "AIRFLOW__CORE__MIN_SERIALIZED_DAG_UPDATE_INTERVAL": "5",
    "AIRFLOW__SCHEDULER__PARSING_CLEANUP_INTERVAL": "10",
}

FIXED: Mapping[str, str] = {
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
    "AIRFLOW__CORE__AUTH_MANAGER": "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager",
    "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
}


def settings(root: Path, metadata: PostgresServer, ports: Mapping[str, int], folders: Mapping[str, Path]) -> dict[str, str]:
    """Returns the environment variables of all of Airflow's processes.

    Args:
        root: the stack's folder; secrets are made there once and kept.
        metadata: the server with the database `airflow`.
        ports: `api`, `worker-log` and `trigger-log`.
        folders: `home`, `dags`, `plugins`, `include` and `checkout`.
    """
    url = f"http://127.0.0.1:{ports['api']}"
    known = _secrets(root / "airflow" / "secrets.json")
    return {
        **FIXED,
        **TUNED,
        "AIRFLOW_HOME": str(folders["home"]),
        "PYTHONPATH": os.pathsep.join((str(folders["plugins"]), str(folders["checkout"]))),
        "QUERYMIRROR_INCLUDE": str(folders["include"]),
        "AIRFLOW__CORE__DAGS_FOLDER": str(folders["dags"]),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(folders["plugins"]),
        "AIRFLOW__CORE__FERNET_KEY": known["fernet_key"],
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(f"{user}:{role}" for user, (role, _) in USERS.items()),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(_passwords(folders["home"] / "passwords.json")),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": metadata.dsn("airflow", role="airflow").replace("postgresql:", "postgresql+psycopg2:"),
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(ports["api"]),
        "AIRFLOW__API__BASE_URL": url,
        "AIRFLOW__API__SECRET_KEY": known["secret_key"],
        "AIRFLOW__API_AUTH__JWT_SECRET": known["jwt_secret"],
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(folders["home"] / "logs"),
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(ports["worker-log"]),
        "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(ports["trigger-log"]),
    }


def _secrets(path: Path) -> dict[str, str]:
    if not path.is_file():
        made = {
            "fernet_key": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
            "secret_key": secrets.token_hex(32),
            "jwt_secret": secrets.token_hex(32),
        }
        _write_private(path, json.dumps(made))
    return dict(json.loads(path.read_text()))


def _passwords(path: Path) -> Path:
    _write_private(path, json.dumps({user: password for user, (_, password) in USERS.items()}))
    return path


def _write_private(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_text(text)
