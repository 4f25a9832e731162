// @ts-check
// The rate limits and what is left of them.

import { byId, el, reconcile, say } from "./dom.js";
import { number, per } from "./format.js";
import { column, numbers, table } from "./table.js";

/** @typedef {import("./model.js").Model} Model */

/** @param {Model} model @returns {() => void} */
export function limits(model) {
  const rows = table(byId("limit-list"), {
    caption: "Rate limits",
    key: (row) => row.name,
    search: (row) => `${row.name} ${row.key}`,
    empty: "No route and no upstream has a rate limit.",
    columns: [
      column("Limit of", (/** @type {any} */ row) => row.name, { sort: (row) => row.name }),
      column("For each", (row) => (row.key === "global" ? "all callers together" : row.key)),
      {
        label: "Left",
        sort: (row) => least(row),
        make: (cell) => cell.append(el("ul", { class: "meters" })),
        show: (cell, row) => reconcile(cell.children[0], windowsOf(row), (one) => one.label, makeMeter, showMeter),
      },
      numbers("Busy keys", (row) => row.keys, (value) => number(value)),
      column("Counted", (row) => (row.store === "redis" ? "in Redis" : "here"), { sort: (row) => row.store ?? "" }),
    ],
  });
  return () => rows.show([...model.limits].map(([name, limit]) => ({ name, ...limit })));
}

/** @typedef {{label: string, most: number, left: number | null}} Window */

/** @param {any} row @returns {Window[]} */
function windowsOf(row) {
  return row.windows.map((/** @type {any} */ one, /** @type {number} */ place) => ({
    label: `${number(one.limit)} ${one.unit === "tokens" ? "tokens" : "calls"} a ${per(one.seconds)}${one.burst === one.limit ? "" : `, ${number(one.burst)} at once`}`,
    most: one.burst || one.limit,
    left: row.remaining?.[place] ?? null,
  }));
}

/** @param {any} row @returns {number | null} the share that is left */
function least(row) {
  const shares = windowsOf(row).filter((one) => one.left !== null).map((one) => (one.left ?? 0) / one.most);
  return shares.length ? Math.min(...shares) : null;
}

function makeMeter() {
  return el("li", {}, el("span"), el("meter", { min: "0", "aria-hidden": "true" }), el("span", { class: "faint" }));
}

/** @param {HTMLElement} item @param {Window} one */
function showMeter(item, one) {
  const meter = /** @type {HTMLMeterElement} */ (item.children[1]);
  say(item.children[0], one.label);
  meter.hidden = one.left === null;
  say(item.children[2], one.left === null ? "" : `${number(Math.floor(one.left))} of ${number(one.most)} left`);
  if (one.left === null) return;
  meter.max = one.most;
  meter.low = one.most * 0.2;
  meter.high = one.most * 0.2;
  meter.optimum = one.most;
  meter.value = one.left;
}
