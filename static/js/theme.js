// Runs before the first paint, so that a chosen theme never flashes. The administration
// reads the same word from the same place, and says "auto" where people read "System".
(() => {
  const root = document.documentElement;
  const read = () => {
    try {
      const chosen = localStorage.getItem("theme");
      return chosen === "light" || chosen === "dark" ? chosen : "auto";
    } catch {
      return "auto"; // storage may be forbidden; the system's choice holds
    }
  };
  const show = (theme) => {
    if (theme === "auto") delete root.dataset.theme;
    else root.dataset.theme = theme;
    for (const button of document.querySelectorAll("[data-theme-choice]")) {
      button.setAttribute("aria-pressed", String(button.dataset.themeChoice === theme));
    }
  };
  show(read());
  document.addEventListener("DOMContentLoaded", () => show(read()));
  document.addEventListener("click", (event) => {
    const choice = event.target.closest?.("[data-theme-choice]")?.dataset.themeChoice;
    if (!choice) return;
    try {
      localStorage.setItem("theme", choice);
    } catch {
      // It holds for this page then.
    }
    show(choice);
    dispatchEvent(new Event("themechange"));
  });
})();
