// A machine's page: its state and readings live, its charts over a range.

import {alarms, hear, onAlarms} from "./alarms.js";
import {write} from "./cells.js";
import {seriesKey} from "./chart-data.js";
import {Charts} from "./charts.js";
import {onChoice, showChoice} from "./choices.js";
import {facts} from "./facts.js";
import {onKey} from "./keyboard.js";
import {Link} from "./link.js";
import {connect} from "./live.js";
import {LiveMark} from "./live-mark.js";
import {showHead} from "./machine-head.js";
import {showKey} from "./marks.js";
import {parts} from "./units.js";

const TICK_MS = 1000;
// Live samples go into folded buckets by estimate; now and then the hub's count.
const REFETCH_MS = 60_000;
// A page that nobody sees for so long asks no machine for a sample each second.
const REST_MS = 60_000;

// Each is sent once: kept for as long as the page is open.
const layouts = {};

class MachinePage {
  constructor() {
    this.at = (id) => document.getElementById(id);
    this.machine = null;
    // What was measured last, stored or not.
    this.newest = null;
    this.mark = new LiveMark(this.at("live-mark"));
    this.keys = new Map();
    this.charts = new Charts(this.at("charts"), {
      address: facts.charts,
      now: () => line.now(),
      onZoom: (window) => this.zoom(window),
      onZoomed: (zoomed) => (this.at("unzoom").hidden = !zoomed),
      onGap: () => this.reload(),
      onMarks: (stretches, range) => showKey(this.at("key"), stretches, range),
    });
    this.slid = this.fetched = Date.now();
    this.listen();
    this.charts.load(this.range, this.window);
  }

  get range() {
    return new URLSearchParams(location.search).get("range") ?? facts.range;
  }

  /** The part of the past that the address asks for, in seconds; null = the range. */
  get window() {
    const params = new URLSearchParams(location.search);
    const [from, to] = ["from", "to"].map((name) => Number(params.get(name)) / 1000);
    return from > 0 && to > from ? [from, to] : null;
  }

  zoom(window) {
    const params = new URLSearchParams(location.search);
    ["from", "to"].forEach((name, at) => {
      if (window) params.set(name, String(Math.round(window[at] * 1000)));
      else params.delete(name);
    });
    history.pushState(null, "", params.size ? `?${params}` : location.pathname);
    this.reload();
  }

  take({machines, instants = []}, whole) {
    this.glance(instants);
    const machine = machines.find(({id}) => id === facts.machine);
    if (!machine) return;
    const before = this.machine;
    this.machine = machine;
    this.head();
    if (!machine.values) return;
    this.newest = machine;
    this.readings();
    if (whole && before) this.reload();
    const layoutChanged = before && before.layout !== machine.layout;
    if (layoutChanged) this.reload();
    const place = this.places(machine.layout);
    this.charts.append(machine.time, (key) => machine.values[place.get(key)], machine.interval);
    this.slid = Date.now();
  }

  /** Samples between two stored ones: they move the charts, and are not kept. */
  glance(instants) {
    for (const instant of instants) {
      const {id, layout, time, values} = instant;
      if (id !== facts.machine || !layouts[layout] || time <= this.newest?.time) continue;
      this.mark.note(time);
      this.newest = instant;
      if (document.hidden) continue;
      const place = this.places(layout);
      this.charts.glance(time, (key) => values[place.get(key)]);
      this.slid = Date.now();
      this.readings();
    }
  }

  reload() {
    this.fetched = Date.now();
    this.charts.load(this.range, this.window);
  }

  /** Where a layout keeps each series. */
  places(layout) {
    if (!this.keys.has(layout)) {
      const series = layouts[layout] ?? [];
      const entries = series.map(({metric, attributes}, at) => [seriesKey(metric, attributes), at]);
      this.keys.set(layout, new Map(entries));
    }
    return this.keys.get(layout);
  }

  head() {
    showHead(this.machine, line);
  }

  readings() {
    const table = document.querySelector(".readings");
    const {layout} = this.newest;
    if (table.dataset.layout !== String(layout)) {
      if (this.loading !== layout) {
        this.loading = layout;
        htmx
          .ajax("GET", facts.readings, {target: "#readings", swap: "innerHTML"})
          .finally(() => (this.loading = null));
      }
      return;
    }
    this.pending ||= requestAnimationFrame(() => {
      this.pending = 0;
      const {values} = this.newest;
      for (const cell of table.querySelectorAll("[data-place]")) {
        const [number, unit] = parts(values[cell.dataset.place], cell.dataset.unit);
        write(cell.firstElementChild, number);
        write(cell.lastElementChild, unit);
      }
    });
  }

  tick() {
    if (this.machine) this.head();
    const step = this.charts.data?.stepS ?? facts.interval;
    if (Date.now() - this.slid > Math.max(step, facts.interval) * 1500) {
      this.slid = Date.now();
      this.charts.slide();
    }
    if (this.charts.data?.folded && !this.charts.zoomed && Date.now() - this.fetched > REFETCH_MS) {
      this.reload();
    }
  }

  listen() {
    onChoice(document.querySelector(".ranges"), (anchor) => {
      const params = new URLSearchParams(location.search);
      params.set("range", anchor.dataset.range);
      params.delete("from");
      params.delete("to");
      history.pushState(null, "", `?${params}`);
      this.choose();
    });
    addEventListener("popstate", () => this.choose());
    this.at("unzoom").addEventListener("click", () => this.charts.reset());
    onKey("Escape", () => this.charts.reset());
  }

  choose() {
    showChoice("range", this.range);
    this.reload();
  }
}

let page = document.getElementById("charts") && new MachinePage();

/** The first sample has come: there is something to draw. */
async function arrive() {
  arriving = true;
  await htmx.ajax("GET", location.href, {target: "#main", select: "#main", swap: "outerHTML"});
  arriving = false;
  if (document.getElementById("charts")) page = new MachinePage();
}

let arriving = false;
function take(frame, whole) {
  hear(frame);
  Object.assign(layouts, frame.layouts);
  if (page) {
    page.take(frame, whole);
  } else if (!arriving && frame.machines.some(({seen}) => seen != null)) {
    arrive();
  }
}

const link = new Link(document.getElementById("link"));
const line = connect({
  view: "full",
  machines: [facts.machine],
  onSnapshot: (frame) => take(frame, true),
  onChanges: (frame) => take(frame, false),
  onStatus: (status) => link.show(status),
});
const mine = () => JSON.stringify(alarms.machines[facts.machine]);
let drawn = mine();
onAlarms(() => {
  const isNews = drawn !== mine();
  // The first answer says what the page was made with, and its charts are on their way.
  const isFirst = drawn !== null;
  drawn = null;
  if (!isFirst || isNews) page?.reload();
  if (document.querySelector("#alerts details[open]")) return;
  htmx.ajax("GET", facts.openAlerts, {target: "#alerts", swap: "innerHTML"});
  if (page?.machine) page.head();
});
let rest = 0;
document.addEventListener("visibilitychange", () => {
  clearTimeout(rest);
  if (document.hidden) rest = setTimeout(() => line.rest(), REST_MS);
});
setInterval(() => page && !document.hidden && page.tick(), TICK_MS);
