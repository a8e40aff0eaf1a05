// A part of a machine's pages that is not live itself: its head is.

import {hear, onAlarms} from "./alarms.js";
import {facts} from "./facts.js";
import {Link} from "./link.js";
import {connect} from "./live.js";
import {showHead} from "./machine-head.js";

const TICK_MS = 1000;

let machine;
const show = () => machine && showHead(machine, line);

function take(frame) {
  hear(frame);
  machine = frame.machines.find(({id}) => id === facts.machine) ?? machine;
  show();
}

const link = new Link(document.getElementById("link"));
const line = connect({
  view: "summary",
  machines: [facts.machine],
  onSnapshot: take,
  onChanges: take,
  onStatus: (status) => link.show(status),
});
onAlarms(show);
setInterval(() => document.hidden || show(), TICK_MS);
