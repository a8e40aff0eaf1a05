// The API reference has a dark dress of its own: put on whenever the page is dark.

const dark = matchMedia("(prefers-color-scheme: dark)");

function dress() {
  const root = document.documentElement;
  const {theme} = root.dataset;
  root.classList.toggle("dark-mode", theme ? theme === "dark" : dark.matches);
}

dress();
addEventListener("themechange", dress);
dark.addEventListener("change", dress);
