// The list of processes: sorted and filtered by the hub, asked for again and again.

import {clock} from "./axes.js";
import {onKey} from "./keyboard.js";

const form = document.getElementById("pick");
const list = document.getElementById("processes");
const filter = document.getElementById("filter");
const pause = document.getElementById("pause");
const TYPED_MS = 200;

let paused = false;
// Somebody wants it now, paused or not.
let wanted = false;

function ask() {
  wanted = true;
  htmx.trigger(list, "pick");
  wanted = false;
}

function remember() {
  const params = new URLSearchParams();
  if (filter.value) params.set("q", filter.value);
  if (form.sort.value !== "cpu") params.set("sort", form.sort.value);
  history.replaceState(null, "", params.size ? `?${params}` : location.pathname);
}

list.addEventListener("htmx:beforeRequest", (event) => {
  if ((paused || document.hidden) && !wanted) event.preventDefault();
});

list.addEventListener("htmx:responseError", ({detail}) => {
  // Signed out, or open for so long that it must be opened anew.
  if (detail.xhr.status === 403) location.reload();
});

list.addEventListener("htmx:afterSwap", () => {
  const time = list.querySelector("[data-clock-s]");
  if (time) time.textContent = clock(new Date(time.dateTime) / 1000);
});

list.addEventListener("click", ({target}) => {
  const button = target.closest("[data-sort]");
  if (!button) return;
  form.sort.value = button.dataset.sort;
  remember();
  ask();
});

let typing;
filter.addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(() => {
    remember();
    ask();
  }, TYPED_MS);
});
form.addEventListener("submit", (event) => event.preventDefault());

pause.addEventListener("click", () => {
  paused = !paused;
  pause.setAttribute("aria-pressed", String(paused));
  pause.textContent = paused ? "Go on" : "Pause";
  if (!paused) ask();
});

onKey("/", () => filter.focus());
onKey("Escape", () => filter.blur());
document.addEventListener("visibilitychange", () => document.hidden || paused || ask());
