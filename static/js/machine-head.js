// The head of a machine's pages: its state, its age, how long it is up.

import {alarms} from "./alarms.js";
import {write} from "./cells.js";
import {facts} from "./facts.js";
import {stateOf} from "./presence.js";
import {ago, durationParts, join} from "./units.js";

/** Say what is known of a machine now; `line` is what `connect` returned. */
export function showHead(machine, line) {
  const now = line.now();
  const state = stateOf(machine, now, facts, alarms);
  const page = document.getElementById("machine");
  // A page that hears nothing cannot tell whether the machine is silent.
  const hears = line.hears || page.dataset.state === "never";
  if (hears && page.dataset.state !== state) {
    page.dataset.state = state;
    write(document.getElementById("state"), facts.words[state]);
  }
  const age = document.getElementById("age");
  if (machine.seen != null) {
    write(age, ago((now - machine.seen) / 1000));
    age.title = new Date(machine.seen).toLocaleString();
  }
  const uptime = document.getElementById("uptime");
  const seconds = machine.summary?.uptime;
  if (seconds != null && uptime) write(uptime, join(durationParts(seconds)));
}
