// One chart: a uPlot canvas and a legend, drawn from a description.

import {moment, timeHeight, timeLabels, valueLabels, valueRange, valueSteps} from "./axes.js";
import {faint} from "./colours.js";
import {Legend} from "./legend.js";
import {extent, lines} from "./lines.js";
import {mark, said, shade} from "./marks.js";
import {write} from "./cells.js";

const HEIGHT = 184;
const AXIS_WIDTH = 66;
const STACK_ALPHA = 0.7;
const BAND_ALPHA = 0.18;

export class Chart {
  /** `group` shares crosshair, zoom and hidden lines: see charts.js. */
  constructor(description, group) {
    this.description = description;
    this.group = group;
    this.element = document.createElement("section");
    this.element.className = "chart";
    this.element.dataset.chart = description.id;
    this.element.dataset.shape = description.shape;
    const title = document.createElement("h3");
    title.textContent = description.title;
    this.why = document.createElement("small");
    this.why.className = "why";
    title.id = `chart-${description.id}`;
    this.element.setAttribute("aria-labelledby", title.id);
    this.place = document.createElement("div");
    this.place.className = "plot";
    this.legend = new Legend(description.unit, (label) => group.toggle(description.id, label));
    const head = document.createElement("div");
    head.className = "chart-head";
    head.append(title, this.why);
    this.element.append(head, this.place, this.legend.element);
    if (description.left_out) {
      const note = document.createElement("p");
      note.className = "left-out";
      note.textContent = `The largest are drawn; ${description.left_out} more are in the tables below.`;
      this.element.append(note);
    }
  }

  /** Make the canvas anew: first time, other theme, or other lines. */
  build() {
    this.plot?.destroy();
    this.refresh();
    const {colours} = this.group;
    const isStack = this.description.shape === "stack";
    this.lines.forEach((line) => (line.filled = isStack));
    this.legend.build(this.lines, colours);
    this.plot = new uPlot(this.#options(colours), this.#columns(), this.place);
    this.#tell();
  }

  /** Draw new points. */
  update() {
    this.refresh();
    this.plot.batch(() => {
      this.plot.setData(this.#columns(), false);
      this.lines.forEach((line, order) => {
        const shown = this.plot.series[1 + order * this.#width].show;
        if (shown !== line.shown) this.#show(order, line.shown);
      });
      this.scale();
    });
    this.#tell();
  }

  refresh() {
    const {data, hidden} = this.group;
    this.lines = lines(this.description, data, hidden(this.description.id));
    const isStack = this.description.shape === "stack";
    this.lines.forEach((line) => (line.filled = isStack));
  }

  scale() {
    const [min, max] = this.group.range();
    this.plot.setScale("x", {min, max});
  }

  resize() {
    const width = this.place.clientWidth;
    if (this.plot && width && width !== this.plot.width) {
      this.plot.setSize({width, height: HEIGHT});
    }
  }

  destroy() {
    this.plot?.destroy();
    this.element.remove();
  }

  // Without bands a line is one uPlot series, with them three: line, high, low.
  get #width() {
    return this.#banded ? 3 : 1;
  }

  get #banded() {
    const {shape} = this.description;
    return shape === "spread" || (this.group.data.folded && shape !== "stack");
  }

  #columns() {
    const columns = [this.group.data.times];
    for (const line of this.lines) {
      columns.push(line.drawn);
      if (this.#banded) columns.push(line.high, line.low);
    }
    return columns;
  }

  #show(order, show) {
    for (let each = 0; each < this.#width; each += 1) {
      this.plot.setSeries(1 + order * this.#width + each, {show});
    }
  }

  #series(colours) {
    const series = [{}];
    const bands = [];
    this.lines.forEach((line, order) => {
      const stroke = line.isMark ? colours.muted : colours.series[line.colour % 8];
      const base = {label: line.label, show: line.shown, spanGaps: false, points: {show: alone}};
      const drawn = {...base, stroke, width: line.filled ? 0 : line.isMark ? 1 : 1.25};
      if (line.isMark) drawn.dash = [4, 4];
      series.push(drawn);
      if (line.filled) this.#fill(drawn, bands, order, stroke);
      if (!this.#banded) return;
      const edge = {...base, stroke: "transparent", width: 0, points: {show: false}};
      series.push(edge, {...edge});
      const isBand = !line.isMark && (this.description.shape !== "spread" || line.banded);
      const at = 1 + order * 3;
      if (isBand) bands.push({series: [at + 1, at + 2], fill: faint(stroke, BAND_ALPHA)});
    });
    return {series, bands};
  }

  /** The lowest shown area reaches to zero, each other one to that below it. */
  #fill(drawn, bands, order, stroke) {
    const fill = faint(stroke, STACK_ALPHA);
    const below = this.lines.findLastIndex((line, at) => at < order && line.shown);
    if (below < 0) drawn.fill = fill;
    else bands.push({series: [1 + order, 1 + below], fill});
  }

  #options(colours) {
    const {description, group} = this;
    const axis = {
      stroke: colours.muted,
      font: `11px ${group.font}`,
      grid: {stroke: colours.line, width: 1},
      ticks: {show: false},
    };
    return {
      width: Math.max(this.place.clientWidth, 200),
      height: HEIGHT,
      legend: {show: false},
      padding: [8, 18, 0, 0],
      ...this.#series(colours),
      scales: {
        x: {time: true, auto: false, range: (_, min, max) => [min, max], ...group.xRange()},
        y: {range: () => valueRange(description, group.data, this.lines)},
      },
      axes: [
        {...axis, values: timeLabels, space: 64, gap: 4, size: timeHeight},
        {
          ...axis,
          values: valueLabels(description.unit),
          incrs: valueSteps(description.unit),
          size: AXIS_WIDTH,
          space: 34,
          gap: 6,
        },
      ],
      cursor: {
        y: false,
        points: {size: 6},
        drag: {x: true, y: false, setScale: false},
        bind: {dblclick: () => () => group.reset()},
        sync: {
          key: group.key,
          scales: ["x", null],
          // Where the pointer is travels; what it drags does not.
          filters: {pub: (type) => type === "mousemove" || type === "mouseleave"},
        },
      },
      hooks: {
        drawClear: [(plot) => shade(plot, this.#alerts, group.colours, group.now() / 1000)],
        draw: [(plot) => mark(plot, this.#marks, group.colours, group.font)],
        setCursor: [(plot) => this.#point(plot)],
        setSelect: [(plot) => this.#select(plot)],
      },
    };
  }

  #select(plot) {
    const {left, width} = plot.select;
    if (width < 4) return;
    const [from, to] = [plot.posToVal(left, "x"), plot.posToVal(left + width, "x")];
    plot.setSelect({left: 0, width: 0, top: 0, height: 0}, false);
    this.group.zoom(from, to);
  }

  get #alerts() {
    return this.group.alertsOf(this.description.id);
  }

  get #marks() {
    const {id, unit} = this.description;
    return {stretches: this.group.stretches, thresholds: this.group.thresholdsOf(this.description), unit, id};
  }

  #point(plot) {
    if (!this.legend.rows.length) return;
    const {idx: at, left} = plot.cursor;
    const {stretches, now} = this.group;
    write(this.why, left < 0 ? "" : said(plot.posToVal(left, "x"), stretches, this.#alerts, now() / 1000));
    const isPast = at != null;
    const place = isPast ? at : this.group.newest;
    this.legend.showAt(this.lines, place, isPast ? moment(this.group.data.times[place], this.group.data.stepS) : "last");
  }

  #tell() {
    const [from, to] = this.group.places();
    const {data} = this.group;
    const extents = this.lines.map((line) => extent(line, from, to, (at) => data.isGlance(at)));
    this.legend.show(this.lines, this.group.newest, extents);
  }
}

/** A reading between two gaps has no line: it is shown as a point. */
function alone(plot, series, from, to) {
  const values = plot.data[series];
  const found = [];
  for (let at = from; at <= to; at += 1) {
    if (values[at] != null && values[at - 1] == null && values[at + 1] == null) found.push(at);
  }
  return found.length > 0 && found.length < 200;
}
