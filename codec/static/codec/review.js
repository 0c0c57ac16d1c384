// What these pages cannot do without a script: one box for all boxes of a list, and a button that prints.
for (const all of document.querySelectorAll("[data-all]")) {
  const boxes = [...all.form.elements].filter((box) => box.name === all.dataset.all);
  const words = all.nextElementSibling;
  const told = words.textContent;

  const show = () => {
    const chosen = boxes.filter((box) => box.checked).length;
    all.checked = chosen === boxes.length;
    all.indeterminate = chosen > 0 && chosen < boxes.length;
    words.textContent = chosen ? `${chosen} chosen` : told;
  };

  all.addEventListener("change", () => {
    for (const box of boxes) box.checked = all.checked;
    show();
  });
  for (const box of boxes) box.addEventListener("change", show);
  all.closest("[hidden]").hidden = boxes.length === 0;
  show();
}

for (const button of document.querySelectorAll("[data-print]")) {
  button.hidden = false;
  button.addEventListener("click", () => window.print());
}
