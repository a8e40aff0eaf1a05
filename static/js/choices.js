// Links of which one is chosen: by its address they lead there without a script too.

/** Take plain clicks; a click with a key held is the browser's own. */
export function onChoice(list, take) {
  list?.addEventListener("click", (event) => {
    const anchor = event.target.closest("a");
    if (!anchor || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    take(anchor);
  });
}

/** Mark the one whose data has this value. */
export function showChoice(name, value) {
  for (const anchor of document.querySelectorAll(`[data-${name}]`)) {
    if (anchor.dataset[name] === value) anchor.setAttribute("aria-current", "true");
    else anchor.removeAttribute("aria-current");
  }
}
