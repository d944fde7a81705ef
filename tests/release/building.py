"""The package as it is published: built once."""

import subprocess
import sys
from dataclasses import dataclass
from email.message import Message
from email.parser import Parser
from pathlib import Path
from zipfile import ZipFile

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Built:
    """A built package.

    Attributes:
        sdist: The source distribution.
        wheel: The wheel, which was built from it.
    """

    sdist: Path
    wheel: Path

    @property
    def metadata(self) -> Message:
        """What the registry shows and pip reads."""
        with ZipFile(self.wheel) as archive:
            (name,) = (one for one in archive.namelist() if one.endswith(".dist-info/METADATA"))
            return Parser().parsestr(archive.read(name).decode("utf8"))


def build(into: Path) -> Built:
    """Build sdist and wheel, with the build backend of this environment."""
    subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(into), str(ROOT)],
        check=True,
        capture_output=True,
        timeout=100,
    )
    (sdist,), (wheel,) = into.glob("*.tar.gz"), into.glob("*.whl")
    return Built(sdist, wheel)
