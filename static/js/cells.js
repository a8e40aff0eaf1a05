// The cells of one row of the overview. A cell is touched only when what it
// says changes. `templates/web/row.format.html` is the same row as HTML.

import {cellLevel} from "./presence.js";
import {ago, countParts, numberParts, percentParts, rateParts} from "./units.js";

const [CPU, MEMORY, DISK, FLOW, LOAD, SPARK, SEEN] = [2, 3, 4, 5, 6, 7, 8];

export class Cells {
  constructor(element) {
    const cell = (place) => element.children[place];
    this.word = element.children[0].firstElementChild;
    this.name = element.children[1].firstElementChild;
    this.alarm = element.children[1].children[1];
    this.cpu = measure(cell(CPU));
    this.memory = measure(cell(MEMORY));
    this.disk = measure(cell(DISK));
    this.mount = cell(DISK).lastElementChild;
    const [rx, tx] = cell(FLOW).children;
    this.rx = [rx.children[1], rx.children[2]];
    this.tx = [tx.children[1], tx.children[2]];
    [this.load, this.cores] = cell(LOAD).firstElementChild.children;
    this.path = cell(SPARK).querySelector("path");
    this.time = cell(SEEN).firstElementChild;
  }

  show(machine, levels, alarms) {
    const {title, summary, seen} = machine;
    if (write(this.name, title)) this.name.title = title;
    this.#alarm(alarms.machines[machine.id]);
    if (!summary) return;
    for (const name of ["cpu", "memory", "disk"]) {
      gauge(this[name], summary[name], cellLevel(name, machine, levels, alarms));
    }
    const mount = summary.disk_mount ?? "";
    if (write(this.mount, mount)) this.mount.title = mount;
    both(this.rx, rateParts(summary.rx));
    both(this.tx, rateParts(summary.tx));
    write(this.load, numberParts(summary.load1)[0]);
    write(this.cores, summary.cores == null ? "" : `/ ${countParts(summary.cores)[0]}`);
    const moment = new Date(seen).toISOString();
    if (this.time.dateTime !== moment) {
      this.time.dateTime = moment;
      this.time.title = new Date(seen).toLocaleString();
    }
  }

  #alarm(told) {
    if (!write(this.alarm, told ? String(told.count) : "") && this.alarm.title === (told?.names ?? "")) return;
    this.alarm.dataset.level = told?.level ?? "";
    this.alarm.title = told?.names ?? "";
  }

  age(seenMs, nowMs) {
    write(this.time, ago(seenMs == null ? null : (nowMs - seenMs) / 1000));
  }
}

export function write(element, text) {
  if (element.textContent === text) return false;
  element.textContent = text;
  return true;
}

export function both([number, unit], parts) {
  write(number, parts[0]);
  write(unit, parts[1]);
}

function measure(cell) {
  const [number, unit] = cell.firstElementChild.children;
  return {cell, number, unit, bar: cell.querySelector("rect")};
}

function gauge({cell, number, unit, bar}, ratio, reached) {
  both([number, unit], percentParts(ratio));
  const width = `${Math.round(Math.min(Math.max(ratio ?? 0, 0), 1) * 100)}%`;
  if (bar.getAttribute("width") !== width) bar.setAttribute("width", width);
  if (cell.dataset.level !== reached) cell.dataset.level = reached;
}
