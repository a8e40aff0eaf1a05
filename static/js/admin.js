// What Django's administration leaves out for those who cannot see the page.

/** The fields in which one looks for tags or machines stand beside those with a label. */
function label() {
  for (const field of document.querySelectorAll(".select2-search__field")) {
    const select = field.closest(".select2")?.previousElementSibling;
    const name = select?.labels?.[0]?.textContent.replace(":", "").trim();
    if (name) field.setAttribute("aria-label", name);
  }
}

// After jQuery's own: those make the fields.
addEventListener("DOMContentLoaded", () => globalThis.django?.jQuery?.(label));
