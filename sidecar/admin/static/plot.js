// @ts-check
// One plot of the last five minutes, with its numbers beside it: what it shows, in words, is its text alternative.

import uPlot from "./vendor/uPlot.esm.js";
import { el, mark, reconcile, say } from "./dom.js";
import { number, time } from "./format.js";

const HEIGHT = 168;
const [LEAST, MOST] = [60, 300]; // seconds that are shown
/** Steps of an axis. uPlot's own have 2.5 among them, which a label of one digit cannot say. */
const STEPS = Array.from({ length: 45 }, (_, place) => Number(`${[1, 2, 5][place % 3]}e${Math.floor(place / 3) - 5}`));

/** @typedef {{label: string, style: number, dashed?: boolean, values: (number | null)[]}} Line */

/** The colours of the page, as its style sheet has them now. */
function colours() {
  const probe = el("span", { class: "probe" });
  document.body.append(probe);
  /** @param {string} name */
  const of = (name) => {
    probe.className = `probe ${name}`;
    return getComputedStyle(probe).color;
  };
  const found = { text: of("ink-muted"), grid: of("ink-grid"), lines: [1, 2, 3, 4, 5].map((place) => of(`ink-${place}`)) };
  probe.remove();
  return found;
}

/** Points that have no neighbour are drawn as such: no line goes through them. @param {(number | null | undefined)[]} values */
const alone = (values) =>
  values.flatMap((value, place) => (value != null && values[place - 1] == null && values[place + 1] == null ? [place] : []));

export class Plot {
  /**
   * @param {HTMLElement} parent
   * @param {string} title
   * @param {(value: number | null) => string} written
   * @param {number} least the axis ends there, or higher
   */
  constructor(parent, title, written, least) {
    this.title = title;
    this.written = written;
    this.least = least;
    this.place = el("div", { class: "plot", role: "img" });
    this.empty = el("p", { class: "empty" }, "Nothing in the last five minutes.");
    this.legend = el("ul", { class: "legend" });
    this.heading = el("h3", {}, title);
    this.figure = el("figure", { class: "card" }, el("figcaption", {}, this.heading), this.place, this.empty, this.legend);
    parent.append(this.figure);
    /** @type {any} */
    this.drawn = null;
    this.shape = "";
    /** @type {Line[]} */
    this.lines = [];
    new ResizeObserver(() => this.#fit()).observe(this.place);
    document.documentElement.addEventListener("theme", () => {
      this.shape = "";
      this.show(this.times ?? [], this.lines);
    });
  }

  /** @param {(number | null)[]} times unix seconds, oldest first @param {Line[]} lines @param {string} [of] behind the title */
  show(times, lines, of = "") {
    say(this.heading, this.title + of);
    this.times = times;
    this.lines = lines;
    const something = lines.some((line) => line.values.some((value) => value !== null));
    this.place.hidden = !something;
    this.empty.hidden = something;
    this.legend.hidden = !something;
    if (!something) return;
    const shape = JSON.stringify(lines.map((line) => [line.label, line.style, line.dashed]));
    const data = [times, ...lines.map((line) => line.values)];
    if (shape === this.shape) this.drawn.setData(data);
    else this.#draw(shape, data);
    this.#tell(null);
    mark(this.place, "aria-label", this.#inWords());
  }

  /** @param {string} shape @param {any[]} data */
  #draw(shape, data) {
    this.shape = shape;
    this.drawn?.destroy();
    const colour = colours();
    const axis = { stroke: colour.text, font: "11px system-ui, sans-serif", grid: { stroke: colour.grid, width: 1 }, ticks: { show: false } };
    /** @type {any} its own types want tuples where numbers stand */
    const options = {
      width: this.place.clientWidth || 300,
      height: HEIGHT,
      legend: { show: false },
      padding: [10, 12, 0, 0],
      cursor: { sync: { key: "sidecar" }, drag: { x: false, y: false }, points: { size: 6 } },
      scales: {
        x: { time: true, range: (/** @type {any} */ _, /** @type {number} */ min, /** @type {number} */ max) => [Math.max(max - MOST, Math.min(min, max - LEAST)), max] },
        y: { range: (/** @type {any} */ _, /** @type {number} */ __, /** @type {number} */ max) => [0, Math.max(this.least, (max ?? 0) * 1.1)] },
      },
      axes: [
        { ...axis, grid: { show: false }, size: 24, space: 52, values: (/** @type {any} */ _, /** @type {number[]} */ at) => at.map((one) => time(one).slice(0, 5 + (one % 60 ? 3 : 0))) },
        { ...axis, size: 54, space: 24, incrs: STEPS, values: (/** @type {any} */ _, /** @type {number[]} */ at) => at.map(this.written) },
      ],
      series: [
        {},
        ...this.lines.map((line) => ({
          label: line.label,
          stroke: colour.lines[line.style - 1],
          width: 1.75,
          dash: line.dashed ? [5, 4] : undefined,
          points: { show: true, size: 4, fill: colour.lines[line.style - 1], filter: (/** @type {any} */ plot, /** @type {number} */ place) => alone(plot.data[place]) },
        })),
      ],
      hooks: { setCursor: [(/** @type {any} */ plot) => this.#tell(plot.cursor.idx)] },
    };
    this.drawn = new uPlot(options, data, this.place);
  }

  #fit() {
    const width = this.place.clientWidth;
    if (this.drawn && width && width !== this.drawn.width) this.drawn.setSize({ width, height: HEIGHT });
  }

  /** The legend's numbers: under the mouse, else the last ones. @param {number | null} place */
  #tell(place) {
    const at = place ?? (this.times?.length ?? 0) - 1;
    const make = (/** @type {Line} */ line) =>
      el("li", {}, el("span", { class: `swatch ink-${line.style}${line.dashed ? " dashed" : ""}`, "aria-hidden": "true" }), el("span", {}), el("b", {}));
    reconcile(this.legend, this.lines, (line) => `${line.label} ${line.style}`, make, (item, line) => {
      say(item.children[1], line.label);
      say(item.children[2], this.written(line.values[at] ?? null));
    });
  }

  #inWords() {
    const each = this.lines.map((line) => {
      const known = line.values.filter((value) => value !== null);
      if (!known.length) return `${line.label}: nothing known`;
      const [least, most] = [Math.min(...known), Math.max(...known)];
      return `${line.label}: ${this.written(known.at(-1) ?? null)} at last, between ${this.written(least)} and ${this.written(most)}`;
    });
    return `${this.title} over the last ${number((this.times?.length ?? 0) / 60)} minutes. ${each.join("; ")}.`;
  }
}
