// The open alerts: read again whenever the hub says that something happened to one.

import {facts} from "./facts.js";

// News come in bursts: ten machines go down together.
const GATHER_MS = 300;

export const alarms = {ruled: false, unanswered: 0, level: "", machines: {}, ...facts.alerts};

const listeners = new Set();
let timer = 0;
let deaf = false;

export const onAlarms = (listener) => listeners.add(listener);

/** What a page does with each frame: the first after a break may have missed news.
 * While the hub itself hears none, each heartbeat is the moment to ask. */
export function hear({alerts, type, bus}) {
  const wasDeaf = deaf;
  deaf = bus === "down";
  if (!alerts && type !== "snapshot" && !deaf && !wasDeaf) return;
  timer ||= setTimeout(read, GATHER_MS * (0.5 + Math.random()));
}

// What was read while somebody acknowledged was not shown, see turns.js.
document.addEventListener("turn", () => hear({type: "snapshot"}));

async function read() {
  timer = 0;
  try {
    const answer = await fetch("/alerts/open.json", {cache: "no-store"});
    if (!answer.ok || answer.redirected) return;
    Object.assign(alarms, await answer.json());
  } catch {
    return; // The hub is away; its next snapshot leads here again.
  }
  show();
  for (const listener of listeners) listener();
}

/** The badge beside the link, and the count in the title. */
function show() {
  const badge = document.getElementById("badge");
  if (badge) {
    badge.hidden = !alarms.unanswered;
    badge.dataset.level = alarms.level;
    badge.querySelector("b").textContent = String(alarms.unanswered);
  }
  const plain = document.title.replace(/^\(\d+\) /, "");
  document.title = alarms.unanswered ? `(${alarms.unanswered}) ${plain}` : plain;
}
