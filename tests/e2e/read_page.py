"""How a person uses our Read page: type or drop, decode, look."""

from playwright.sync_api import Locator, Page, expect

DROP = """
([name, text]) => {
  const data = new DataTransfer();
  data.items.add(new File([text], name, { type: "application/json" }));
  for (const kind of ["dragenter", "dragover", "drop"]) {
    const event = new DragEvent(kind, { dataTransfer: data, bubbles: true, cancelable: true });
    document.getElementById("read-form").dispatchEvent(event);
  }
}
"""


def drop(page: Page, text: str, name: str = "history.json") -> None:
    """Drop a file on the form, as from a folder."""
    page.evaluate(DROP, [name, text])


def decode(page: Page) -> None:
    page.get_by_role("button", name="Decode", exact=True).click()


def open_event(page: Page, name: str) -> Locator:
    """Open the first event of this name, and return what is shown of it."""
    event = page.locator("#result .parts > li").filter(has_text=name).first
    event.locator("summary").click()
    expect(event.locator("mark").first).to_be_visible()
    return event.locator("code")
