// Keys that work on every page, and a place for a page to add its own.

import {openDialog} from "./dialogs.js";

const SEQUENCE_MS = 1000;
const keys = new Map();
let pending = "";
let pendingUntil = 0;

/** Do something on a key such as "j", "/" or the sequence "g o". */
export function onKey(key, action) {
  keys.set(key, action);
}

onKey("?", () => openDialog("help"));
onKey("g o", () => location.assign("/"));
onKey("g a", () => location.assign("/alerts/"));
onKey("g h", () => location.assign("/hub/"));

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  if (event.key === "Escape") return escape(event);
  if (event.target.closest?.("input, textarea, select, [contenteditable], dialog")) return;
  const sequence = Date.now() < pendingUntil ? `${pending} ${event.key}` : event.key;
  pendingUntil = 0;
  const action = keys.get(sequence);
  if (action) {
    event.preventDefault();
    action();
  } else if ([...keys.keys()].some((key) => key.startsWith(`${event.key} `))) {
    pending = event.key;
    pendingUntil = Date.now() + SEQUENCE_MS;
  }
});

function escape(event) {
  const menu = document.querySelector("details.menu[open]");
  if (menu) {
    menu.open = false;
    menu.querySelector("summary").focus();
  } else if (!event.target.closest?.("dialog")) {
    keys.get("Escape")?.(event);
  }
}
