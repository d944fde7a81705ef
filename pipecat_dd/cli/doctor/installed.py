"""Check which packages are installed, and whether their versions are supported."""

import importlib
import platform
import sys
from collections.abc import Iterable, Iterator
from importlib import metadata
from typing import Final

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from pipecat_dd.cli.doctor.context import Context
from pipecat_dd.cli.doctor.finding import Finding, Level

DISTRIBUTION: Final = "pipecat-dd"

OLDEST_PYTHON: Final = (3, 11)
NEWEST_TESTED_PYTHON: Final = (3, 13)

NEEDED: Final = ("pipecat-ai>=1.0,<2", "ddtrace>=4,<5", "loguru>=0.7,<1")
"""The requirements of pyproject.toml; a test keeps the two equal."""

MODULES: Final = {"pipecat-ai": "pipecat", "ddtrace": "ddtrace", "loguru": "loguru"}

OLDER_PIPECAT: Final = (1, 8)
"""Pipecat versions before this one lack some of the data that the observer reports."""

_NOT_FOR_USERS = frozenset({"dev", "bench"})


def python(context: Context) -> Iterator[Finding]:
    """Check Python's version."""
    yield judge_python(sys.version_info[:2], platform.python_version())


def judge_python(version: tuple[int, int], full: str) -> Finding:
    """Return whether a version of Python is supported.

    Args:
        version: The major and minor number.
        full: The full version, to be shown.
    """
    facts = {"version": full}
    if version < OLDEST_PYTHON:
        return Finding(
            "installed.python",
            Level.PROBLEM,
            f"Python {full} is too old.",
            "Use Python {}.{} or later.".format(*OLDEST_PYTHON),
            facts,
        )
    if version > NEWEST_TESTED_PYTHON:
        return Finding(
            "installed.python",
            Level.NOTE,
            f"Python {full} is newer than the versions that pipecat_dd is tested with.",
            "If something does not work, try Python {}.{}.".format(*NEWEST_TESTED_PYTHON),
            facts,
        )
    return Finding("installed.python", Level.OK, f"Python {full}.", facts=facts)


def ourselves(context: Context) -> Iterator[Finding]:
    """Report the version of this package."""
    version = _version(DISTRIBUTION) or "from source, not installed"
    yield Finding(
        "installed.pipecat_dd", Level.OK, f"pipecat-dd {version}.", facts={"version": version}
    )


def packages(context: Context) -> Iterator[Finding]:
    """Check that each required package has a supported version and can be imported."""
    for text in NEEDED:
        needed = Requirement(text)
        yield judge_package(needed, _version(needed.name))
    for name, module in MODULES.items():
        if _version(name) is not None and (finding := check_import(name, module)) is not None:
            yield finding


def judge_package(needed: Requirement, version: str | None) -> Finding:
    """Return whether the installed version of a package is supported.

    Args:
        needed: The package and its supported versions.
        version: The installed version; None if the package is not installed.
    """
    check = f"installed.{needed.name}"
    if version is None:
        return Finding(
            check,
            Level.PROBLEM,
            f"{needed.name} is not installed.",
            f"pip install '{needed}'",
            {"version": None, "supported": str(needed.specifier)},
        )
    facts = {"version": version, "supported": str(needed.specifier)}
    if not needed.specifier.contains(version, prereleases=True):
        return Finding(
            check,
            Level.PROBLEM,
            f"{needed.name} {version} is not supported.",
            f"pip install '{needed}'",
            facts,
        )
    if needed.name == "pipecat-ai":
        release = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
        if release < OLDER_PIPECAT:
            return Finding(
                check,
                Level.NOTE,
                f"pipecat-ai {version}: before version {'.'.join(map(str, OLDER_PIPECAT))}, "
                "startup is not traced, and Pipecat does not report whether a service that failed "
                "is still usable.",
                "Update Pipecat if you need this; docs/versions.md lists the differences.",
                facts,
            )
    return Finding(check, Level.OK, f"{needed.name} {version}.", facts=facts)


def check_import(name: str, module: str) -> Finding | None:
    """Import a package as the bot does, and return a finding if that fails.

    Args:
        name: The package, as it is installed.
        module: The module to import.
    """
    try:
        importlib.import_module(module)
    except Exception as error:
        return Finding(
            f"installed.{name}.import",
            Level.PROBLEM,
            f"{module} cannot be imported, so the bot cannot start: "
            f"{type(error).__name__}: {error}",
            "Fix what the message names."
            if module == "ddtrace"
            else f"Reinstall it: pip install --force-reinstall {name}",
            {"error": type(error).__name__},
        )
    return None


def extras(context: Context) -> Iterator[Finding]:
    """Report which extras are completely installed."""
    try:
        wanted = metadata.requires(DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        return
    lacking = missing_by_extra(wanted)
    complete = sorted(extra for extra, lacks in lacking.items() if not lacks)
    partly = [f"{extra} (needs {', '.join(lacks)})" for extra, lacks in lacking.items() if lacks]
    parts = [f"Extras installed: {', '.join(complete) or 'none'}"]
    if partly:
        parts.append(f"not or only partly installed: {'; '.join(sorted(partly))}")
    yield Finding(
        "installed.extras",
        Level.OK,
        "; ".join(parts) + ".",
        facts={"installed": list(complete), "incomplete": sorted(set(lacking) - set(complete))},
    )


def missing_by_extra(wanted: Iterable[str]) -> dict[str, list[str]]:
    """Return each extra with those of its packages that are missing or have the wrong version.

    Args:
        wanted: The requirements in the metadata of this package.
    """
    lacking: dict[str, list[str]] = {}
    for text in wanted:
        try:
            needed = Requirement(text)
        except InvalidRequirement:
            continue
        for extra in _extras_of(needed):
            lacks = lacking.setdefault(extra, [])
            lacks += [name for name in _missing(needed) if name not in lacks]
    return lacking


def _missing(needed: Requirement, seen: frozenset[tuple[str, str]] = frozenset()) -> list[str]:
    """Return what a requirement lacks: its package, or packages of the extras that it asks for."""
    name, version = canonicalize_name(needed.name), _version(needed.name)
    if version is None or not needed.specifier.contains(version, prereleases=True):
        return [name]
    asked = {extra for extra in needed.extras if (name, extra) not in seen}
    seen |= {(name, extra) for extra in asked}
    missing: dict[str, None] = {}
    for text in (metadata.requires(needed.name) or []) if asked else []:
        try:
            inner = Requirement(text)
        except InvalidRequirement:
            continue
        if asked.intersection(_extras_of(inner)):
            missing |= dict.fromkeys(_missing(inner, seen))
    return list(missing)


def _extras_of(needed: Requirement) -> list[str]:
    if needed.marker is None or "extra" not in str(needed.marker):
        return []
    text = str(needed.marker)
    names = [part.split('"')[1] for part in text.split("extra == ")[1:]]
    return [
        name
        for name in names
        if name not in _NOT_FOR_USERS and needed.marker.evaluate({"extra": name})
    ]


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


CHECKS: Final = (python, ourselves, packages, extras)
