// The rows of the overview: which machine is where, and what it says now.
//
// A thousand machines send two hundred samples a second. Only rows in sight are
// written, at most once per drawn frame; the others remember their newest state.

import {alarms} from "./alarms.js";
import {Cells} from "./cells.js";
import {facts} from "./facts.js";
import {hasTag} from "./order.js";
import {stateOf} from "./presence.js";

// The browser itself says which rows it skips; one that does not know how to
// skip shows them all, and they are all written.
const SKIPS = "ContentVisibilityAutoStateChangeEvent" in window;

export class Rows {
  constructor(body, sparklines) {
    this.body = body;
    this.sparklines = sparklines;
    this.byId = new Map();
    this.changed = new Set();
    this.frame = 0;
    body.addEventListener(
      "contentvisibilityautostatechange",
      ({target, skipped}) => this.#seen(target, !skipped),
      true,
    );
    this.adopt();
  }

  /** Take in the rows that the hub rendered into the table. */
  adopt() {
    for (const element of this.body.children) {
      const {id} = element.dataset;
      if (this.byId.get(id)?.element === element) continue;
      this.byId.set(id, {id, element, cells: null, machine: null, near: false});
    }
    // What is in sight is known only once the new rows have been drawn.
    requestAnimationFrame(() => requestAnimationFrame(() => this.#look()));
  }

  #look() {
    for (const {element, near} of this.byId.values()) {
      if (near) continue;
      this.#seen(element, !SKIPS || element.checkVisibility({contentVisibilityAuto: true}));
    }
  }

  /** Note new states; return the ids that have no row yet. */
  update(machines, nowMs) {
    const unknown = [];
    for (const machine of machines) {
      const row = this.byId.get(machine.id);
      if (!row) {
        unknown.push(machine.id);
        continue;
      }
      row.machine = machine;
      this.sparklines.extend(row);
      this.#judge(row, nowMs);
      this.#mark(row);
    }
    return unknown;
  }

  remove(ids) {
    for (const id of ids) {
      const row = this.byId.get(id);
      if (!row) continue;
      row.element.remove();
      this.byId.delete(id);
      this.changed.delete(row);
    }
  }

  /** Time passed: ages grow, and a silent machine turns stale; but not while
   * it is the page that hears nothing. */
  tick(nowMs, hears) {
    for (const row of this.byId.values()) {
      if (!row.machine) continue;
      if (hears) this.#judge(row, nowMs);
      if (row.near) row.cells.age(row.machine.seen, nowMs);
    }
  }

  /** Alerts have changed: what is in sight says so at once. */
  alarmed(nowMs) {
    for (const row of this.byId.values()) {
      if (!row.machine) continue;
      this.#judge(row, nowMs);
      this.#mark(row);
    }
  }

  /** The states of all machines, or of those with a tag. */
  states(tag) {
    const wanted = [...this.byId.values()].filter((row) => hasTag(row, tag));
    return wanted.map((row) => row.element.dataset.state);
  }

  /** Put the rows in the order of a list of them, moving only what must move. */
  arrange(order) {
    let place = this.body.firstElementChild;
    for (const {element} of order) {
      if (element === place) place = place.nextElementSibling;
      else this.body.insertBefore(element, place);
    }
  }

  inOrder() {
    return [...this.body.children].map((element) => this.byId.get(element.dataset.id));
  }

  #judge(row, nowMs) {
    const state = stateOf(row.machine, nowMs, facts, alarms);
    if (row.element.dataset.state === state) return;
    row.element.dataset.state = state;
    row.element.firstElementChild.firstElementChild.textContent = facts.words[state];
  }

  #seen(element, near) {
    const row = this.byId.get(element.dataset.id);
    if (row?.element !== element) return;
    row.near = near;
    if (!near) return;
    row.cells ??= new Cells(element);
    this.sparklines.want(row);
    this.#mark(row);
  }

  #mark(row) {
    if (!row.near) return;
    this.changed.add(row);
    this.frame ||= requestAnimationFrame(() => this.#draw());
  }

  #draw() {
    this.frame = 0;
    for (const row of this.changed) {
      if (row.machine) row.cells.show(row.machine, facts.levels, alarms);
      this.sparklines.draw(row);
    }
    this.changed.clear();
  }
}
