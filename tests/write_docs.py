"""Writes all pages, and parts of pages, that are written from the code.

Run it as ``python -m tests.write_docs``.
"""

from tests.export.metrics import write_docs as metrics
from tests.export.spans import write_docs as spans
from tests.reference import api_page, cli_page
from tests.support import module_map, settings_page
from tests.versions import write_docs as coverage


def write() -> None:
    """Write them."""
    for page in (api_page, cli_page, settings_page):
        page.PAGE.parent.mkdir(exist_ok=True)
        page.PAGE.write_text(page.page(), "utf8")
    spans.DOCS.write_text(spans.written(spans.DOCS.read_text("utf8")), "utf8")
    for part in (metrics, coverage):
        before = part.DOCS.read_text("utf8").partition(part.MARK)[0]
        part.DOCS.write_text(f"{before}{part.MARK}\n\n{part.tables()}", "utf8")
    module_map.write()


if __name__ == "__main__":
    write()
