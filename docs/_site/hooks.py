"""What MkDocs does beside its own: links to the repository's other files lead to its host.

On the pages ``../examples/daily_bot.py`` is written as a link between files, which works in a
checkout and at the repository's host. The site has no such file.
"""

import logging
import posixpath
import re
from pathlib import Path
from typing import Any

LOG = logging.getLogger("mkdocs.hooks.repository")

# A fenced block, or inline code, is kept as it is; what is left are links.
_LINK = re.compile(
    r"(?P<code>^```.*?^```|`[^`\n]+`)|\]\((?P<target>[^)\s#]+)(?P<anchor>#[^)\s]*)?\)", re.M | re.S
)


def on_page_markdown(markdown: str, page: Any, config: Any, **_: Any) -> str:
    """Turn links that leave the folder of the docs into links to the repository's host."""
    repository = Path(config["docs_dir"]).parent
    folder = posixpath.dirname(page.file.src_uri)

    def rewrite(link: re.Match[str]) -> str:
        target = link["target"]
        if link["code"] or ":" in target:
            return link[0]
        path = posixpath.normpath(posixpath.join("docs", folder, target))
        if path.startswith("docs/"):
            return link[0]
        if not (repository / path).exists():
            LOG.warning("Page '%s' links to '%s', which does not exist.", page.file.src_uri, target)
        what = "tree" if (repository / path).is_dir() else "blob"
        return f"]({config['repo_url']}/{what}/main/{path}{link['anchor'] or ''})"

    return _LINK.sub(rewrite, markdown)
