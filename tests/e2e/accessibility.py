"""What hinders people on a page: axe-core's rules, run inside the browser.

The rules are evaluated by the debugger's protocol and not as a script of the page, so the page's Content-Security-
Policy stays as strict as it is.
"""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

from playwright.sync_api import Page

from tests.e2e import npm

FOLDER = Path(__file__).resolve().parent / "axe"
GRAVE = ("serious", "critical")  # of axe's minor, moderate, serious, critical
CONTRAST = ("color-contrast", "link-in-text-block")  # what another colour scheme can break
RUN = """
async ([grave, only]) => {
  document.getAnimations().forEach((each) => each.finish());  // a colour on its way is no colour
  const rules = only.length ? { runOnly: { type: "rule", values: only } } : {};
  const options = { preload: false, resultTypes: ["violations"], ...rules };
  const { violations } = await axe.run(document, options);
  return violations.filter(({ impact }) => grave.includes(impact)).flatMap(({ id, impact, nodes }) =>
    nodes.map(({ target, html, failureSummary }) => `${id} (${impact}) at ${target}: ${html}\\n${failureSummary}`));
}
"""


def hindrances(page: Page, *, only: Sequence[str] = ()) -> list[str]:
    """Return what is serious or critical on `page`, one text per element; of these rules only, or of all."""
    if not page.evaluate("typeof axe === 'object'"):
        page.evaluate(_rules())
    found: list[str] = page.evaluate(RUN, [GRAVE, list(only)])
    return found


@cache
def _rules() -> str:
    npm.install(FOLDER, reason="NO NPM FOUND: accessibility was not tested. Install nodejs and npm.")
    return (FOLDER / "node_modules" / "axe-core" / "axe.min.js").read_text()
