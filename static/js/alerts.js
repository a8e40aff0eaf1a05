// The list of alerts, and the page of one: fresh without being loaded again.

import {onAlarms} from "./alarms.js";
import {onKey} from "./keyboard.js";
import "./news.js";
import {ago} from "./units.js";

const TICK_MS = 10_000;

/** Put what the hub says now in place of what is shown, unless it is in use. */
function refresh() {
  const shown = document.getElementById("list") ?? document.getElementById("alert");
  if (!shown || shown.querySelector("details[open]") || shown.contains(typing())) return;
  // Pages of history below the first were asked for one by one.
  if (new URLSearchParams(location.search).get("show") === "history") return;
  htmx.ajax("GET", location.href, {target: `#${shown.id}`, select: `#${shown.id}`, swap: "outerHTML"});
}

const typing = () => (document.activeElement?.matches("input") ? document.activeElement : null);

function age() {
  for (const time of document.querySelectorAll("time[data-ago]")) {
    const text = ago((Date.now() - Date.parse(time.dateTime)) / 1000);
    if (time.textContent !== text) time.textContent = text;
  }
}

onAlarms(refresh);
setInterval(age, TICK_MS);
onKey("/", () => {
  const field = document.getElementById("search");
  field?.focus();
  field?.select();
});
