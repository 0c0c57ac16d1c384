// Adds a Copy button to everything marked data-copy="what it is". Without this script the text can be selected.

const SHOWN_FOR = 2000;

export function addCopyButton(place, text) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "copy";
  button.textContent = "Copy";
  button.setAttribute("aria-label", `Copy ${place.dataset.copy}`);
  button.addEventListener("click", async () => {
    button.textContent = await copied(text());
    announce(button.textContent);
    setTimeout(() => { button.textContent = "Copy"; }, SHOWN_FOR);
  });
  place.append(button);
  return button;
}

async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return "Copied";
  } catch {
    return "Not copied"; // the browser has asked, and was told no
  }
}

// A screen reader hears what a live region says, not what a button is called now.
function announce(text) {
  let region = document.getElementById("copied");
  if (!region) {
    region = document.createElement("p");
    region.id = "copied";
    region.className = "visually-hidden";
    region.setAttribute("role", "status");
    document.getElementById("main").append(region);
  }
  region.textContent = text;
}

for (const place of document.querySelectorAll("[data-copy]")) {
  const code = place.querySelector("code");
  addCopyButton(place, () => code.textContent);
}
