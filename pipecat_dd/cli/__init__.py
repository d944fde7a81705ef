"""The command ``pipecat-dd``. A bot never imports anything from here."""

from typing import Final

PAGES: Final = "https://github.com/pipecat-dd/pipecat-dd/blob/main/"
"""Where the pages are that messages name: ``docs/doctor.md``. An installed package has none."""
