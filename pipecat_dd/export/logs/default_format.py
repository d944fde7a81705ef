"""The format function for users who set up Loguru themselves."""

from typing import TYPE_CHECKING, Final

from pipecat_dd._loguru import mark
from pipecat_dd.export.logs.failing import report_failures_of_ours
from pipecat_dd.export.logs.line import LineMaker
from pipecat_dd.export.logs.template import json_format
from pipecat_dd.export.redaction import Redactor
from pipecat_dd.settings import table

if TYPE_CHECKING:
    from loguru import Record

_lines: Final = LineMaker(Redactor())
_write: Final = json_format(_lines)
_is_prepared = False


@mark
def datadog_format(record: "Record") -> str:
    """Format a Loguru record as one JSON line for Datadog.

    Use it as the ``format`` of a handler that you add to Loguru yourself. The lines are those of
    `configure_logging` with its defaults: they are redacted, and the content of Pipecat's lines is
    masked unless the session captures content. Exceptions are part of the line, so add the handler
    with ``diagnose=False`` and ``backtrace=False``: otherwise Loguru also renders them, which takes
    milliseconds for each.

    Args:
        record: Loguru's record.

    Returns:
        A template from which Loguru makes the line.

    Example::

        logger.add(sys.stdout, format=datadog_format, backtrace=False, diagnose=False)
    """
    global _is_prepared
    if not _is_prepared:
        _is_prepared = True
        _lines.max_line_bytes = table.LINE_BYTES.read(None)
        report_failures_of_ours()
    return _write(record)
