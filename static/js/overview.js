// The overview: rows that live, sorting and filtering in the address.

import {hear, onAlarms} from "./alarms.js";
import {write} from "./cells.js";
import {onChoice, showChoice} from "./choices.js";
import {facts} from "./facts.js";
import {headline, showHeadline} from "./headline.js";
import {onKey} from "./keyboard.js";
import {Link} from "./link.js";
import {connect} from "./live.js";
import {matches, sorted} from "./order.js";
import {Rows} from "./rows.js";
import {Sparklines} from "./sparklines.js";

const TICK_MS = 1000;
// Nobody is reading or pointing: the rows may be put in order again.
const PAUSE_MS = 15_000;

class Overview {
  constructor() {
    this.at = (id) => document.getElementById(id);
    this.rows = new Rows(this.at("rows"), new Sparklines(facts.sparklines));
    this.machines = new Map();
    this.asked = new Set();
    this.touched = Date.now();
    this.listen();
  }

  take({machines, gone = []}, whole) {
    const now = line.now();
    if (whole) {
      const there = new Set(machines.map(({id}) => id));
      gone = [...this.rows.byId.keys()].filter((id) => !there.has(id));
      this.machines.clear();
    }
    for (const machine of machines) this.machines.set(machine.id, machine);
    for (const id of gone) this.machines.delete(id);
    this.rows.remove(gone);
    const unknown = this.rows.update(machines, now);
    if (unknown.length) this.fetchRows(unknown);
    if (whole) this.rows.tick(now, true);
    this.tell();
  }

  /** Get the rows of machines that the page has not seen before. */
  async fetchRows(ids) {
    const wanted = ids.filter((id) => !this.asked.has(id)).slice(0, facts.rowsAtOnce);
    if (!wanted.length) return;
    for (const id of wanted) this.asked.add(id);
    const query = new URLSearchParams(wanted.map((id) => ["id", id]));
    try {
      await htmx.ajax("GET", `${facts.rows}?${query}`, {target: "#rows", swap: "beforeend"});
    } finally {
      for (const id of wanted) this.asked.delete(id);
    }
    this.rows.adopt();
    const known = [...this.machines.values()].filter(({id}) => wanted.includes(id));
    this.rows.update(known, line.now());
    this.sort();
    this.filter();
    this.tell();
  }

  tick() {
    this.rows.tick(line.now(), line.hears);
    this.tell();
    const missing = [...this.machines.keys()].filter((id) => !this.rows.byId.has(id));
    if (missing.length) this.fetchRows(missing);
    const order = sorted(this.rows.inOrder(), this.order);
    const moved = order.some(({element}, place) => element !== this.rows.body.children[place]);
    if (moved && Date.now() - this.touched > PAUSE_MS) this.rows.arrange(order);
    else this.at("again").hidden = !moved;
  }

  tell() {
    showHeadline(this.at("headline"), headline(this.rows.states(this.tag), facts.needs));
  }

  get params() {
    return new URLSearchParams(location.search);
  }

  get tag() {
    return this.params.get("tag") ?? "";
  }

  get order() {
    return this.params.get("sort") ?? "state";
  }

  sort() {
    const order = this.order;
    this.rows.arrange(sorted(this.rows.inOrder(), order));
    this.at("again").hidden = true;
    this.at("sort").value = order.replace("-", "");
    for (const anchor of document.querySelectorAll("[data-sort]")) this.head(anchor, order);
  }

  head(anchor, order) {
    const {sort} = anchor.dataset;
    const chosen = order.replace("-", "") === sort;
    const turned = order.startsWith("-");
    const downward = !["state", "name"].includes(sort) !== turned;
    const cell = anchor.closest("th");
    if (chosen) cell.setAttribute("aria-sort", downward ? "descending" : "ascending");
    else cell.removeAttribute("aria-sort");
    const params = this.params;
    params.set("sort", chosen && !turned ? `-${sort}` : sort);
    anchor.search = params.toString();
  }

  filter() {
    const query = (this.params.get("q") ?? "").trim();
    const {tag} = this;
    let shown = 0;
    for (const row of this.rows.byId.values()) {
      const fits = matches(row, query, tag);
      if (row.element.hidden === fits) row.element.hidden = !fits;
      shown += fits;
    }
    this.at("no-match").hidden = shown > 0;
    write(this.at("shown"), query ? `${shown.toLocaleString("en")} shown` : "");
    if (document.activeElement !== this.at("filter")) this.at("filter").value = query;
    showChoice("tag", tag);
  }

  go(changes, {push}) {
    const params = this.params;
    for (const [name, value] of Object.entries(changes)) {
      if (value) params.set(name, value);
      else params.delete(name);
    }
    const address = params.size ? `?${params}` : location.pathname;
    if (push) history.pushState(null, "", address);
    else history.replaceState(null, "", address);
  }

  listen() {
    onChoice(document.querySelector(".machines thead"), (anchor) => {
      this.go({sort: new URLSearchParams(anchor.search).get("sort")}, {push: true});
      this.sort();
    });
    onChoice(this.at("tags"), (anchor) => {
      this.go({tag: anchor.dataset.tag}, {push: true});
      this.filter();
      this.tell();
    });
    this.at("sort").addEventListener("change", ({target}) => {
      this.go({sort: target.value}, {push: true});
      this.sort();
    });
    this.at("again").addEventListener("click", () => this.sort());
    const field = this.at("filter");
    field.addEventListener("input", () => this.search(field.value));
    field.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.step(1);
    });
    field.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      field.value = "";
      this.search("");
      field.blur();
    });
    this.at("clear-filter").addEventListener("click", () => {
      field.value = "";
      this.go({tag: ""}, {push: false});
      this.search("");
      field.focus();
    });
    addEventListener("popstate", () => {
      this.sort();
      this.filter();
      this.tell();
    });
    for (const sign of ["pointermove", "keydown", "wheel", "touchstart"]) {
      addEventListener(sign, () => (this.touched = Date.now()), {passive: true});
    }
  }

  search(query) {
    this.go({q: query.trim()}, {push: false});
    this.filter();
  }

  /** Move the focus among the rows that are shown. */
  step(by) {
    const links = this.rows
      .inOrder()
      .filter(({element}) => !element.hidden)
      .map(({element}) => element.children[1].firstElementChild);
    const place = links.indexOf(document.activeElement);
    const next = place < 0 ? (by > 0 ? 0 : links.length - 1) : place + by;
    links[Math.min(Math.max(next, 0), links.length - 1)]?.focus();
  }
}

let overview = document.getElementById("rows") && new Overview();

/** The first machine has come: the page that taught how becomes the table. */
async function arrive() {
  arriving = true;
  await htmx.ajax("GET", location.href, {target: "#main", select: "#main", swap: "outerHTML"});
  arriving = false;
  if (document.getElementById("rows")) overview = new Overview();
  overview?.take({machines: [...early.values()]}, false);
}

// What came before there was a table to show it in.
const early = new Map();
let arriving = false;
function take(frame, whole) {
  hear(frame);
  if (overview) return overview.take(frame, whole);
  for (const machine of frame.machines) early.set(machine.id, machine);
  if (frame.machines.length && !arriving) arrive();
}

const link = new Link(document.getElementById("link"));
const line = connect({
  view: "summary",
  onSnapshot: (frame) => take(frame, true),
  onChanges: (frame) => take(frame, false),
  onStatus: (status) => link.show(status),
});

onAlarms(() => {
  overview?.rows.alarmed(line.now());
  overview?.tell();
});
setInterval(() => overview && !document.hidden && overview.tick(), TICK_MS);
onKey("/", () => {
  const field = document.getElementById("filter");
  field?.focus();
  field?.select();
});
onKey("j", () => overview?.step(1));
onKey("k", () => overview?.step(-1));
onKey("r", () => overview?.sort());
