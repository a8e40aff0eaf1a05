// All charts of a machine: one request, one crosshair, one zoom.

import {Chart} from "./chart.js";
import {ChartData} from "./chart-data.js";
import {colours} from "./colours.js";
import {current} from "./marks.js";

export class Charts {
  constructor(element, {address, now, onZoom, onZoomed, onGap, onMarks}) {
    this.element = element;
    this.address = address;
    this.now = now;
    this.onZoom = onZoom;
    this.onZoomed = onZoomed;
    this.onGap = onGap;
    this.onMarks = onMarks;
    this.stretches = [];
    this.key = "machine";
    this.charts = [];
    this.data = null;
    this.zoomed = null;
    this.colours = colours();
    this.font = getComputedStyle(document.body).fontFamily;
    this.sizes = new ResizeObserver(() => this.charts.forEach((chart) => chart.resize()));
    this.sizes.observe(element);
    addEventListener("themechange", () => this.repaint());
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.repaint());
  }

  /** Fetch a range, or a window of the past in seconds, and draw it; the newest
   * request wins. A window has points as fine as are kept of that time. */
  async load(range, window = null) {
    this.request?.abort();
    const request = (this.request = new AbortController());
    this.element.setAttribute("aria-busy", "true");
    try {
      const asked = window ? `from=${toMs(window[0])}&to=${toMs(window[1])}` : `range=${range}`;
      const answer = await fetch(`${this.address}?${asked}`, {signal: request.signal});
      if (!answer.ok) throw new Error(`the hub answered ${answer.status}`);
      const data = new ChartData(await answer.arrayBuffer());
      this.#look(window);
      this.#take(data);
    } catch (error) {
      if (request.signal.aborted) return;
      if (!this.charts.length) this.#say("The charts could not be loaded. They come as soon as the hub answers.");
      console.info("charts:", error.message);
    } finally {
      if (this.request === request) this.element.setAttribute("aria-busy", "false");
    }
  }

  #take(data) {
    const before = this.data && shape(this.data);
    this.data = data;
    this.#place();
    if (!data.charts.length) {
      this.clear();
      this.#say("Nothing was received in this time. A longer range may show what came before.");
    } else if (before === shape(data)) {
      this.charts.forEach((chart) => chart.update());
    } else {
      this.clear();
      this.element.replaceChildren();
      this.charts = data.charts.map((description) => new Chart(description, this));
      this.element.append(...this.charts.map((chart) => chart.element));
      this.charts.forEach((chart) => chart.build());
    }
  }

  clear() {
    this.charts.forEach((chart) => chart.destroy());
    this.charts = [];
  }

  #say(text) {
    const note = document.createElement("p");
    note.className = "note loading";
    note.textContent = text;
    this.element.replaceChildren(note);
  }

  /** Extend by a live sample. */
  append(timeMs, valueOf, intervalS) {
    if (!this.data?.charts.length || this.zoomed) return;
    const isGap = this.data.isGap(timeMs);
    if (this.data.append(timeMs, valueOf, intervalS)) this.slide();
    // The hub knows why there was nothing.
    if (isGap) this.onGap();
  }

  /** Extend by a sample that will not be stored. */
  glance(timeMs, valueOf) {
    if (!this.data?.charts.length || this.zoomed) return;
    if (this.data.glance(timeMs, valueOf)) this.slide();
  }

  /** Let time pass: the window moves on, over a gap too. */
  slide() {
    if (!this.data || this.zoomed) return;
    this.data.trim(this.now() / 1000 - this.data.spanS);
    this.#place();
    for (const chart of this.charts) chart.update();
  }

  #place() {
    this.stretches = current(this.data, this.now() / 1000);
    this.onMarks(this.stretches, this.range());
  }

  alertsOf(chart) {
    return this.data.alerts?.[chart] ?? [];
  }

  /** A threshold may be a share of the chart's top, or times what it marks. */
  thresholdsOf({id, ceiling, mark}) {
    const sum = (places) => places.reduce((whole, place) => whole + (latest(this.data.series[place].avg) ?? 0), 0);
    const whole = {ceiling: () => sum(ceiling), mark: () => (mark ? sum([mark.series]) : NaN)};
    return (this.data.thresholds?.[id] ?? []).map(({severity, value, of}) => ({severity, value: of ? value * whole[of]() : value}));
  }

  repaint() {
    this.colours = colours();
    this.charts.forEach((chart) => chart.build());
  }

  get newest() {
    return this.data.times.length - 1;
  }

  range() {
    if (this.zoomed) return this.zoomed;
    const now = this.now() / 1000;
    return [now - this.data.spanS, now];
  }

  xRange() {
    const [min, max] = this.range();
    return {min, max};
  }

  /** The places of the first and last point in sight. */
  places() {
    const [min, max] = this.range();
    const {times} = this.data;
    let [from, to] = [0, times.length - 1];
    while (from < to && times[from] < min) from += 1;
    while (to > from && times[to] > max) to -= 1;
    return [from, to];
  }

  /** Look closer: at once with the points that are there, then with finer ones. */
  zoom(from, to) {
    this.#look([from, to]);
    this.#place();
    this.charts.forEach((chart) => chart.update());
    this.onZoom([from, to]);
  }

  reset() {
    if (this.zoomed) this.onZoom(null);
  }

  #look(window) {
    this.zoomed = window;
    this.onZoomed(window !== null);
  }

  // Hidden lines are kept in the address: ?hide=cpu:iowait&hide=…
  hidden = (chart) =>
    new Set(
      new URLSearchParams(location.search)
        .getAll("hide")
        .filter((entry) => entry.startsWith(`${chart}:`))
        .map((entry) => entry.slice(chart.length + 1)),
    );

  toggle(chart, label) {
    const params = new URLSearchParams(location.search);
    const entry = `${chart}:${label}`;
    if (params.getAll("hide").includes(entry)) params.delete("hide", entry);
    else params.append("hide", entry);
    history.replaceState(null, "", params.size ? `?${params}` : location.pathname);
    const found = this.charts.find(({description}) => description.id === chart);
    if (found.description.shape === "stack") found.build();
    else found.update();
  }
}

const toMs = (seconds) => Math.round(seconds * 1000);

const latest = (values) => values.findLast((value) => value != null);

const shape = (data) => JSON.stringify([data.charts, data.folded, data.step]);
