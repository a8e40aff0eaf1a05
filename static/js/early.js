// What is clicked or typed while the page's scripts are still on their way, over a slow
// line, is done as soon as they are there. Runs before the first paint; what a browser
// can do without scripts (a link, a form of its own) it does at once.
(() => {
  const clicked = new Set();
  const typed = new Set();

  const keepClick = (event) => {
    const button = event.target.closest?.("button, [role=tab]");
    if (!button) return;
    if (button.type === "submit" && button.form && !button.form.matches("[hx-post]")) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    clicked.add(button);
  };
  const keepTyped = ({target}) => typed.add(target);

  document.addEventListener("click", keepClick, true);
  document.addEventListener("input", keepTyped, true);
  // Modules have run by then; htmx begins with this very event, so its turn comes first.
  document.addEventListener("DOMContentLoaded", () => setTimeout(() => {
    document.removeEventListener("click", keepClick, true);
    document.removeEventListener("input", keepTyped, true);
    for (const field of typed) field.dispatchEvent(new Event("input", {bubbles: true}));
    for (const button of clicked) button.click();
  }));
})();
