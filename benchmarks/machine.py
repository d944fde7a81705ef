"""Describe the machine and the versions that were measured. Figures mean nothing without them."""

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_PACKAGES = (
    "pipecat-ai",
    "ddtrace",
    "pipecat-dd",
    "datadog",
    "openinference-instrumentation-pipecat",
    "opentelemetry-sdk",
)


def describe() -> dict[str, str | int | float | None]:
    """Return the date, the machine and the versions."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "platform": platform.platform(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        **{package: _version(package) for package in _PACKAGES},
    }


def one_line(described: dict[str, str | int | float | None]) -> str:
    """Return the result of :func:`describe` as a caption for a table."""
    packages = [f"{name} {described[name]}" for name in _PACKAGES if described[name]]
    return (
        f"{described['date']} · {described['cpu']}, {described['cores']} cores, "
        f"load {described['load']} · {described['python']} · {', '.join(packages)}"
    )


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _cpu() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
