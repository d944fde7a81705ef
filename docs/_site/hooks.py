"""What MkDocs does with links, beside its own.

The pages are read in three places: in a checkout, at the repository's host, and on the site. Links
are written for the first two, as links between files. For the site:

- a link to a file outside of this folder, such as ``../examples/daily_bot.py``, leads to the
  repository's host;
- a link whose text is the name of a page, such as ``[logs.md](logs.md)``, gets its title.
"""

import logging
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

LOG = logging.getLogger("mkdocs.hooks.repository")

# Fenced blocks and inline code are kept as they are; of what is left, links are changed.
_LINK = re.compile(
    r"(?P<code>^```.*?^```|`[^`\n]+`)"
    r"|\[(?P<text>(?:[^\[\]`]|`[^`\n]*`)*)\]\((?P<target>[^)\s#]+)(?P<anchor>#[^)\s]*)?\)",
    re.M | re.S,
)
_PAGE = re.compile(r"[\w/.-]+\.md")


def on_page_markdown(markdown: str, page: Any, config: Any, **_: Any) -> str:
    """Return a page's text with its links as the site needs them."""
    repository = Path(config["docs_dir"]).parent
    folder = posixpath.dirname(page.file.src_uri)
    titles = dict(_titles(config["nav"]))

    def rewrite(link: re.Match[str]) -> str:
        text, target, anchor = link["text"], link["target"], link["anchor"] or ""
        if link["code"] or ":" in target:
            return link[0]
        path = posixpath.normpath(posixpath.join("docs", folder, target))
        if path.startswith("docs/"):
            title = titles.get(path.removeprefix("docs/"))
            return f"[{title}]({target}{anchor})" if title and _PAGE.fullmatch(text) else link[0]
        if not (repository / path).exists():
            LOG.warning("Page '%s' links to '%s', which does not exist.", page.file.src_uri, target)
        what = "tree" if (repository / path).is_dir() else "blob"
        return f"[{text}]({config['repo_url']}/{what}/main/{path}{anchor})"

    return _LINK.sub(rewrite, markdown)


def _titles(entries: list[Any]) -> Iterator[tuple[str, str]]:
    """Yield the pages of the navigation with the titles that they have there."""
    for entry in entries:
        if isinstance(entry, str):
            yield entry, _heading(entry)
            continue
        for title, inner in entry.items():
            if isinstance(inner, str):
                yield inner, title
            else:
                yield from _titles(inner)


def _heading(page: str) -> str:
    words = posixpath.basename(page).removesuffix(".md").replace("-", " ")
    return words[:1].upper() + words[1:]
