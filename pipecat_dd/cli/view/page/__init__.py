"""The page that shows conversations: one HTML file that loads nothing from elsewhere.

Its parts lie beside this module. The scripts are ES modules, so that an editor knows what comes
from where. :func:`page_html` joins them into one script, in the order of `SCRIPTS`, and takes out
their ``import`` and ``export``: names are unique across them.
"""

import base64
import gzip
import json
import re
from functools import cache
from importlib.resources import files
from typing import Any, Final

from pipecat_dd.names import tags
from pipecat_dd.names.spans import SPANS

SCRIPTS: Final = (
    *("names", "preact", "format", "medians", "marks", "call", "said", "source", "store"),
    *("theme", "labels", "lanes", "viewport", "pens", "paint", "minimap", "walk", "score"),
    *("rows", "waits", "turns", "lines", "tree", "details", "figures"),
    *("call_view", "list_view", "compare_numbers", "compare_view", "help", "app"),
)
"""The page's own scripts: each comes behind those that it imports."""

PLAIN_SIZE: Final = 100_000
"""From how many characters of JSON on a report's data is packed: it then takes a tenth."""

_IMPORT = re.compile(r"^import\b[^;]*;\n", re.MULTILINE)
_COMMENT = re.compile(r"^\s*/\*\*.*?\*/\n", re.MULTILINE | re.DOTALL)
_INDENT = re.compile(r"^[ \t]+", re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async |class|const|function|let)\b)", re.MULTILINE)
_DATA = re.compile(
    r'<script type="application/\w+" id="data"(?P<packed> data-packed="gzip")?>(?P<text>[^<]*)<'
)
_PLACE = re.compile(r"\{\{(\w+)\}\}")
_POLICY: Final = (
    "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; img-src data:; "
    "connect-src {connect}; base-uri 'none'; form-action 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)


def policy(nonce: str, *, has_server: bool) -> str:
    """Return the Content-Security-Policy of a page.

    Args:
        nonce: What its scripts and styles run by.
        has_server: Whether it asks the server that it came from.
    """
    return _POLICY.format(nonce=nonce, connect="'self'" if has_server else "'none'")


def page_html(data: dict[str, Any] | None, nonce: str) -> str:
    """Return the page.

    Args:
        data: The conversations of a report, which makes no request: ``sessions``, a list of
            summaries, and ``calls``, each by its session's id. None for a page that asks the server
            it came from.
        nonce: What the Content-Security-Policy lets scripts and styles run by: letters, digits,
            ``-`` and ``_``, different for each page.

    Raises:
        ValueError: The nonce has other characters.
    """
    if not re.fullmatch(r"[\w-]+", nonce, re.ASCII):
        raise ValueError("a nonce has letters, digits, - and _ only")
    parts = {
        "nonce": nonce,
        "policy": policy(nonce, has_server=data is None),
        "style": _read("style.css"),
        "licences": _licences(),
        "vendor": _read("vendor/htm-preact.js"),
        "names": _as_json(_names()),
        "script": _script(),
        "data": "",
    }
    if data is not None:
        parts["data"] = _data(data)
    # One pass: what is put in is not looked through for places.
    return _PLACE.sub(lambda place: parts[place[1]], _read("index.html"))


@cache
def _read(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


@cache
def _script() -> str:
    """Return the page's own scripts as one, without what only their readers need."""
    script = "".join(_EXPORT.sub("", _IMPORT.sub("", _read(f"{name}.js"))) for name in SCRIPTS)
    return _INDENT.sub("", _COMMENT.sub("", script))


@cache
def _licences() -> str:
    """Return the notices that each copy of what is not ours must carry, for a comment."""
    preact = _read("vendor/LICENSE-preact").strip()
    return (
        "htm 3.1.1, Copyright 2018 Google Inc., licensed under the Apache License 2.0: "
        "http://www.apache.org/licenses/LICENSE-2.0\n\nPreact, part of the same file:\n" + preact
    )


def _data(data: dict[str, Any]) -> str:
    """Return the element that a report's conversations stand in."""
    text = _as_json(data)
    if len(text) <= PLAIN_SIZE:
        return f'<script type="application/json" id="data">{text}</script>'
    packed = base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()
    return f'<script type="application/gzip" id="data" data-packed="gzip">{packed}</script>'


def data_in(html: str) -> dict[str, Any] | None:
    """Return the conversations that a report has, packed or not.

    Args:
        html: A page that :func:`page_html` made.

    Returns:
        What it was given; None for a page that asks its server.
    """
    found = _DATA.search(html)
    if found is None:
        return None
    text = found["text"]
    if found["packed"]:
        text = gzip.decompress(base64.b64decode(text)).decode()
    data: dict[str, Any] = json.loads(text)
    return data


def _as_json(value: object) -> str:
    """Return JSON that a script element can hold, whatever the texts in it are."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")


@cache
def _names() -> dict[str, Any]:
    """Return the names of tags by their constants, with what they mean."""
    return {
        "constants": {
            name: value
            for name, value in vars(tags).items()
            if name.isupper() and isinstance(value, str) and not name.startswith("_")
        },
        "meanings": {tag.name: [tag.meaning, tag.unit] for tag in tags.TAGS},
        "waits": [
            [part, tags.turn_wait_seconds(part), meaning] for part, meaning in tags.WAIT_PARTS
        ],
        "spans": {span.kind: [span.opens, span.closes] for span in SPANS},
    }
