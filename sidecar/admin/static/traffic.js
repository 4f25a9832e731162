// @ts-check
// Traffic by route: four plots, and a table with everything.

import { byId, el, reconcile, say } from "./dom.js";
import { number, percent, seconds } from "./format.js";
import { Plot } from "./plot.js";
import { column, numbers, table } from "./table.js";

const LINES = 5; // routes that have a line of their own
const CHOSEN_EVERY = 10; // seconds

/** @typedef {import("./model.js").Model} Model */

/** @param {Model} model @returns {() => void} shows what the model knows now */
export function traffic(model) {
  const plots = byId("plots");
  const rate = new Plot(plots, "Calls per second", number, 1);
  const errors = new Plot(plots, "Error rate", percent, 0.05);
  const latency = new Plot(plots, "Latency", seconds, 0.01);
  const first = new Plot(plots, "Time to first byte or token", seconds, 0.01);
  const scope = byId("scope");
  const rows = routeTable();
  /** @type {string[]} */
  let lines = [];
  let chosenAt = -Infinity;

  /** Which routes have lines is not decided anew each second: lines that change places cannot be read. */
  const choose = () => {
    if (performance.now() - chosenAt < CHOSEN_EVERY * 1000 && lines.length) return;
    chosenAt = performance.now();
    const busiest = model.history.busiest(LINES);
    const stay = lines.filter((name) => busiest.includes(name));
    lines = [...stay, ...busiest.filter((name) => !stay.includes(name))];
  };

  const draw = () => {
    const { history } = model;
    const times = history.times();
    const one = scope.value;
    if (!one) choose();
    const names = one ? [one] : lines;
    /** @param {(name: string) => (number | null)[]} of */
    const byRoute = (of) => names.map((name, place) => ({ label: name, style: place + 1, values: of(name) }));
    const more = model.routes.length > LINES && !one ? `, the ${LINES} busiest routes` : "";
    rate.show(times, byRoute((name) => history.rate(name)), more);
    errors.show(times, byRoute((name) => history.errors(name)), more);
    latency.show(times, [
      { label: "p50", style: 3, values: history.values(one, "p50") },
      { label: "p95", style: 1, values: history.values(one, "p95") },
      { label: "p99", style: 2, dashed: true, values: history.values(one, "p99") },
    ]);
    first.show(times, [
      { label: "p50", style: 3, values: history.values(one, "ttfb50") },
      { label: "p95", style: 1, values: history.values(one, "ttfb95") },
    ]);
  };
  scope.addEventListener("change", draw);

  return () => {
    routeChoice(scope, model, "all routes");
    draw();
    rows.show(model.routes.map((route) => ({ route, of: model.numbers(route.name) })));
  };
}

/** The routes in a choice. @param {HTMLSelectElement} choice @param {Model} model @param {string} all */
export function routeChoice(choice, model, all) {
  const names = ["", ...model.routes.map((route) => route.name)];
  reconcile(choice, names, (name) => `=${name}`, (name) => el("option", { value: name }), (option, name) => say(option, name || all));
}

function routeTable() {
  /** @param {string} label @param {string} name @param {(value: number | null) => string} written */
  const of = (label, name, written) => numbers(label, (/** @type {any} */ row) => row.of[name], written);
  return table(byId("routes"), {
    caption: "Routes, with rates per second and times in the last ten seconds",
    key: (row) => row.route.name,
    search: (row) => `${row.route.name} ${matched(row.route.match)} ${row.route.chain.join(" ")}`,
    empty: "The policy file has no routes: every call is answered with 404.",
    columns: [
      {
        label: "Route",
        sort: (row) => row.route.name,
        make: (cell) => cell.append(el("span", { class: "name" }), el("span", { class: "faint" })),
        show: (cell, row) => {
          say(cell.children[0], row.route.name);
          say(cell.children[1], matched(row.route.match));
        },
      },
      of("Calls/s", "calls", number),
      numbers("Errors", (row) => (row.of.calls > 0 ? row.of.errors / row.of.calls : null), percent),
      of("p50", "p50", seconds),
      of("p95", "p95", seconds),
      of("p99", "p99", seconds),
      of("First byte p95", "ttfb_p95", seconds),
      of("Retries/s", "retries", number),
      of("Fallbacks/s", "fallbacks", number),
      of("Refused/s", "refused", number),
      of("In flight", "inflight", number),
      column("Limit", (row) => row.route.limit ?? "–"),
    ],
  });
}

/** A match in a few words. @param {any} match */
function matched(match) {
  const { path, grpc, methods, host, headers } = match ?? {};
  const words = [methods?.join(" "), host, path ?? grpc];
  for (const [name, value] of Object.entries(headers ?? {})) words.push(`${name}: ${value}`);
  return words.filter(Boolean).join(" ");
}
