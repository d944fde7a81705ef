"""Write the table of docs/metrics.md anew: ``python -m tests.export.metrics.write_docs``."""

from pipecat_dd.export.metrics import contract
from tests.export.metrics.test_contract import DOCS

MARK = "<!-- written by tests/export/metrics/write_docs.py -->"

if __name__ == "__main__":
    before = DOCS.read_text(encoding="utf-8").partition(MARK)[0]
    DOCS.write_text(f"{before}{MARK}\n\n{contract.tables()}", encoding="utf-8")
