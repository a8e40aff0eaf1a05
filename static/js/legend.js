// The table under a chart: each line's name, last value (or the one under the
// crosshair), least, mean and greatest.

import {write} from "./cells.js";
import {format} from "./units.js";

export class Legend {
  constructor(unit, onToggle) {
    this.unit = unit;
    this.onToggle = onToggle;
    this.element = document.createElement("div");
    this.element.className = "legend-box";
    this.rows = [];
  }

  build(lines, colours) {
    const table = document.createElement("table");
    table.className = "legend";
    const head = table.createTHead().insertRow();
    for (const [text, kind] of [["", ""], ["last", ""], ["min", "least"], ["avg", "least"], ["max", ""]]) {
      const cell = document.createElement(text ? "th" : "td");
      if (text) cell.scope = "col";
      cell.className = kind;
      cell.textContent = text;
      head.append(cell);
    }
    this.nowHead = head.cells[1];
    const body = table.createTBody();
    this.rows = lines.map((line) => this.#row(body, line, colours));
    this.element.replaceChildren(table);
  }

  #row(body, line, colours) {
    const row = body.insertRow();
    const name = document.createElement("th");
    name.scope = "row";
    const button = document.createElement("button");
    button.type = "button";
    button.setAttribute("aria-pressed", String(line.shown));
    const swatch = document.createElement("i");
    swatch.className = line.filled ? "area" : "";
    swatch.style.background = line.isMark ? colours.muted : colours.series[line.colour % 8];
    const label = document.createElement("span");
    label.textContent = line.label;
    button.title = line.label;
    button.append(swatch, label);
    button.addEventListener("click", () => this.onToggle(line.label));
    name.append(button);
    row.append(name);
    const cells = ["current", "least", "least", ""].map((kind) => {
      const cell = row.insertCell();
      cell.className = kind;
      return cell;
    });
    return {button, cells};
  }

  /** Show the values at a place, and the extents. */
  show(lines, at, extents) {
    lines.forEach((line, order) => {
      const {button, cells} = this.rows[order];
      button.setAttribute("aria-pressed", String(line.shown));
      const {min, avg, max} = extents[order];
      const told = [line.told.avg[at] ?? null, min, avg, max];
      told.forEach((value, place) => write(cells[place], format(value, line.unit ?? this.unit)));
    });
  }

  showAt(lines, at, heading) {
    write(this.nowHead, heading);
    lines.forEach((line, order) => {
      write(this.rows[order].cells[0], format(line.told.avg[at] ?? null, line.unit ?? this.unit));
    });
  }
}
