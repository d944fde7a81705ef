"""The tests on each version of what we stand on: one environment a cell, and a table at the end.

    nox                      every cell
    nox -t oldest            the oldest of all, with the tests of the core, as CI does
    nox -t newest            the newest on each Python
    nox -s docs              build the documentation into site/; no dead link, no dead anchor
    nox -s docs -- serve     show it on a local port, and again after each change
    nox -s pipecat-1.8       one cell
    nox -s pipecat-1.8 -- tests/conversation/stages -x
    nox -s table             what was run last, once more
    nox -s wheel             the built wheel alone, by the README
    nox -s page              what the page is like for everybody, and how quick
    nox -s types             the types of the examples, by pyright
    nox -s examples-of-pipecat    Pipecat's own examples, alone and under `view`

A cell whose Python is not on this machine is skipped. Tests that need more than a version can do
say so by ``tests.support.versions.needs_pipecat``; the table lists them with their reasons.
"""

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

import nox

nox.needs_version = ">=2024.4.15"
nox.options.default_venv_backend = "venv"
nox.options.reuse_venv = "yes"
nox.options.error_on_missing_interpreters = False

RESULTS = Path(".nox/results")
VERSIONS = (
    "import json, platform; from importlib.metadata import version as v; "
    "print(json.dumps([platform.python_version(), v('pipecat-ai'), v('ddtrace')]))"
)

CORE = (
    *sorted(map(str, Path("tests/conversation").glob("test_*.py"))),
    "tests/versions",
    "tests/test_conversation.py",
    "tests/test_correlation.py",
    "tests/test_delivery.py",
    "tests/reliability/test_exit.py",
    "tests/conversation/stages/test_tools.py",
    "tests/conversation/participants/test_daily.py",
    "tests/export/logs/test_line.py",
    "tests/conversation/attribution",
)
"""The conversation, its stages, participants and lines, where there is no time for all tests."""

ASIDE = (
    # Does not depend on the version, and takes a fifth of all the time.
    "--ignore=tests/reliability/test_nothing_escapes.py",
    "--ignore=tests/test_benchmarks.py",
    "--ignore=tests/test_benchmarks_lines.py",
    "--ignore=tests/release",
)

ALL = ("tests", *ASIDE)
OLDER = (*ALL, "--ignore=tests/cli/doctor")
"""What the doctor says is of the versions that are installed; its tests know the newest."""

CELLS = {
    # The Python, Pipecat and ddtrace of each, which tests are run, and its tags.
    "oldest": ("3.11", "==1.0.0", "==4.0.0", CORE, ["oldest"]),
    "pipecat-1.0": ("3.11", "==1.0.0", "==4.0.0", OLDER, ["all"]),
    "pipecat-1.8": ("3.11", "==1.8.0", ">=4,<5", OLDER, ["all"]),
    "pipecat-1.12": ("3.12", "==1.12.0", ">=4,<5", OLDER, ["all"]),
    "ddtrace-4.0": ("3.11", ">=1.14,<2", "==4.0.0", OLDER, ["all"]),
    "newest-3.11": ("3.11", ">=1.14,<2", ">=4,<5", ALL, ["all", "newest"]),
    "newest-3.12": ("3.12", ">=1.14,<2", ">=4,<5", ALL, ["all", "newest"]),
    "newest-3.13": ("3.13", ">=1.14,<2", ">=4,<5", ALL, ["all", "newest"]),
}


def _install(session: nox.Session, *more: str, group: str = "dev") -> None:
    """Install this package and one of its dependency groups."""
    session.install("-q", "--upgrade", "pip>=25.1")  # older ones do not know dependency groups
    session.install("-q", "-e", ".", "--group", group, *more)


def _cell(name: str) -> None:
    python, pipecat, ddtrace, tests, tags = CELLS[name]

    def run(session: nox.Session) -> None:
        _install(session, f"pipecat-ai{pipecat}", f"ddtrace{ddtrace}")
        versions = session.run("python", "-c", VERSIONS, silent=True, log=False)
        RESULTS.mkdir(parents=True, exist_ok=True)
        for old in RESULTS.glob(f"{name}.*"):
            old.unlink()
        # Pipecat says hello on the line before.
        (RESULTS / f"{name}.json").write_text(str(versions).strip().splitlines()[-1])
        pytest = ("python", "-m", "pytest", "-q", "-o", f"cache_dir=.nox/cache/{name}")
        first, second = (f"--junit-xml={RESULTS / name}.{number}.xml" for number in (1, 2))
        tests_ = session.posargs or tests
        try:
            session.run(*pytest, "-n", "2", first, *tests_, success_codes=[0, 1])
            if _read(name).failed:
                # Some tests hold a busy machine to seconds: what failed gets one more try, alone.
                session.run(*pytest, second, "--last-failed", *tests_)
        finally:
            _show([name])

    # What the oldest cell runs is in that of Pipecat 1.0 too.
    nox.session(python=python, name=name, tags=tags, default="oldest" not in tags)(run)


@dataclass
class Result:
    """What one cell came to."""

    versions: list[str]
    passed: int = 0
    failed: list[str] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)


def _read(name: str) -> Result:
    """Return what a cell came to when it was last run."""
    result = Result(json.loads((RESULTS / f"{name}.json").read_text()))
    reports = sorted(RESULTS.glob(f"{name}.?.xml"))
    for report in reports:
        cases = list(ElementTree.parse(report).iter("testcase"))
        if report != reports[0]:
            result.passed += sum(not list(case) for case in cases)
            result.failed = []
        for case in cases:
            if case.find("failure") is not None or case.find("error") is not None:
                result.failed.append(f"{case.get('classname')}.{case.get('name')}")
            elif report == reports[0] and (skipped := case.find("skipped")) is not None:
                result.left_out[skipped.get("message") or ""] += 1
            elif report == reports[0]:
                result.passed += 1
    return result


def _show(names: list[str]) -> None:
    """Print a table of cells, and of what was left out or failed in them."""
    results = {name: _read(name) for name in names if (RESULTS / f"{name}.json").exists()}
    print(f"\n{'cell':<14}{'Python':<9}{'Pipecat':<9}{'ddtrace':<9}passed  failed  left out")
    for name, result in results.items():
        python, pipecat, ddtrace = result.versions
        print(
            f"{name:<14}{python:<9}{pipecat:<9}{ddtrace:<9}{result.passed:>6}"
            f"{len(result.failed):>8}{result.left_out.total():>10}"
        )
    for name, result in results.items():
        for test in result.failed:
            print(f"{name}: failed: {test}")
        for reason, count in sorted(result.left_out.items()):
            print(f"{name}: left out {count}: {reason}")


for _name in CELLS:
    _cell(_name)


def _from_npm(session: nox.Session, package: str) -> Path:
    """Return the folder with a package of npm's, which is fetched once."""
    folder = Path(session.create_tmp()).resolve() / package
    if not (folder / "package").exists():
        folder.mkdir(exist_ok=True)
        into = f"--pack-destination={folder}"
        session.run("npm", "pack", "--silent", into, package, external=True)
        (packed,) = folder.glob("*.tgz")
        session.run("tar", "-xzf", str(packed), "-C", str(folder), external=True)
    return folder / "package"


@nox.session(default=False)
def wheel(session: nox.Session) -> None:
    """Install the built wheel with all it needs, and walk through the README with it."""
    _install(session)
    session.run(
        *("python", "-m", "pytest", "-q", "tests/release/test_wheel.py"),
        *session.posargs,
        env={"PIPECAT_DD_TEST_WHEEL": "installed"},
    )


@nox.session(default=False)
def docs(session: nox.Session) -> None:
    """Build the documentation as a site; a dead link or anchor fails."""
    pyproject = nox.project.load_toml("pyproject.toml")
    session.install("-q", *pyproject["dependency-groups"]["docs"])
    session.run(
        "mkdocs",
        *(session.posargs or ("build", "--strict")),
        env={"NO_MKDOCS_2_WARNING": "1"},
    )


@nox.session(default=False)
def page(session: nox.Session) -> None:
    """Hold the page of ``pipecat-dd view`` against axe, and measure it; needs chromium and npm.

    What ``report --chrome`` writes is read by speedscope.
    """
    _install(session)
    axe, speedscope = _from_npm(session, "axe-core@4"), _from_npm(session, "speedscope@1")
    session.run(
        *("python", "-m", "pytest", "-q", "tests/cli/view", "tests/cli/report"),
        *session.posargs,
        env={
            "AXE_CORE": str(axe / "axe.min.js"),
            "SPEEDSCOPE": str(speedscope / "dist" / "release"),
        },
    )
    session.run("python", "-m", "tests.cli.view.speed")


@nox.session(default=False)
def types(session: nox.Session) -> None:
    """Check the examples' types, and that they use no deprecated name of Pipecat.

    basedpyright is pyright with its own Node.js: it downloads nothing when it is run.
    """
    _install(session, "basedpyright")
    session.run("basedpyright", *session.posargs)


@nox.session(name="examples-of-pipecat", default=False)
def examples_of_pipecat(session: nox.Session) -> None:
    """Run Pipecat's own examples, alone and under ``pipecat-dd view``."""
    _install(session, "pipecat-ai[moq]>=1.14,<2")
    session.run(
        *("python", "-m", "pytest", "-q", "tests/cli/view/test_pipecat_examples.py"),
        *session.posargs,
        env={"EXAMPLES_OF_PIPECAT": "all"},
    )


@nox.session(python=False)
def table(session: nox.Session) -> None:
    """Print what each cell came to when it was last run."""
    _show(list(CELLS))
