"""The page, in one piece of HTML."""

import html
import json
from typing import Any


def page_html(data: dict[str, Any] | None, nonce: str) -> str:
    """Return the page.

    Args:
        data: What a report shows; None for the page of a server, which asks for it.
        nonce: Allows its script and style.
    """
    embedded = ""
    if data is not None:
        text = json.dumps(data, ensure_ascii=False).replace("<", "\\u003c")
        embedded = f'<script type="application/json" id="data">{text}</script>'
    return (
        f"<!doctype html><meta charset=utf-8><title>pipecat-dd</title>{html.escape('')}{embedded}"
    )
