"""The pages lead to each other and to files that exist."""

import re
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

ROOT = Path(__file__).resolve().parent.parent
CODE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)
LINK = re.compile(r"\]\(<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\)|^\[[^\]]+\]:\s*<?([^\s>]+)>?", re.MULTILINE)
ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]*:|#|//", re.IGNORECASE)


def links(text: str) -> list[str]:
    """Return the relative targets of a page's links and images, without anchors; code holds none."""
    found = [inline or reference for inline, reference in LINK.findall(CODE.sub("", text))]
    return [target.partition("#")[0] for target in found if not ELSEWHERE.match(target)]


class LinksTests(SynchronousTestCase):
    """A reader who follows a link arrives."""

    def test_relative_links_are_found(self) -> None:
        """Anchors are cut off; other sites, anchors alone and code are not looked at."""
        text = (
            '[a](uid.md#x) ![b](../b.png "B") [c](https://c.example/) [d](#d) `[e](e)`\n```\n[f](f)\n```\n[g]: g.md\n'
        )
        self.assertEqual(links(text), ["uid.md", "../b.png", "g.md"])

    def test_every_relative_link_leads_to_something_that_exists(self) -> None:
        """In the README and in every page."""
        pages = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
        found = [(page, target) for page in pages for target in links(page.read_text(encoding="utf-8"))]
        self.assertGreater(len(found), 10)
        broken = [f"{page.name}: {target}" for page, target in found if not (page.parent / target).exists()]
        self.assertEqual(broken, [])
