// @ts-check
// The chains of routes and models: who serves now, and why the others do not.

import { badge, change } from "./badge.js";
import { byId, el, mark, reconcile, say } from "./dom.js";
import { length, number } from "./format.js";
import { column, table } from "./table.js";

/** @typedef {import("./model.js").Model} Model */
/** @typedef {{name: string, mood: import("./badge.js").Mood, text: string, weight: number | null}} Link */

/** @param {Model} model @returns {() => void} */
export function chains(model) {
  const rows = table(byId("chain-list"), {
    caption: "Chains: the targets of each route and model, in the order in which a call tries them",
    key: (row) => `${row.kind} ${row.name}`,
    search: (row) => `${row.kind} ${row.name} ${row.links.map((/** @type {Link} */ link) => link.name).join(" ")}`,
    empty: "No route and no model has a chain.",
    urgent: (row) => row.links.some((/** @type {Link} */ link) => link.mood === "bad"),
    columns: [
      {
        label: "Chain",
        sort: (/** @type {any} */ row) => row.name,
        make: (cell) => cell.append(el("span", { class: "name" }), el("span", { class: "faint" })),
        show: (cell, row) => {
          say(cell.children[0], row.name);
          say(cell.children[1], row.kind);
        },
      },
      {
        label: "Targets",
        make: (cell) => cell.append(el("ol", { class: "chain" })),
        show: (cell, row) => reconcile(cell.children[0], row.links, (link) => link.name, makeLink, showLink),
      },
      column("Now", (row) => row.short),
    ],
  });

  return () => {
    const state = model.state ?? { routes: [], models: [] };
    const routes = state.routes.map((/** @type {any} */ route) => {
      const serving = model.serving("routes", route.name);
      const links = linksOf(model, route.chain, serving, route.weights);
      // An LLM route's calls may go by the chain of the model that they ask for.
      const others = [...serving].some(([name, calls]) => calls > 0 && !route.chain.includes(name));
      const short = inShort(links, Boolean(route.weights)) + (others ? "; models have their own chains" : "");
      return { kind: "route", name: route.name, links, short };
    });
    const models = (state.models ?? []).map((/** @type {any} */ one) => {
      const links = linksOf(model, one.chain, model.serving("models", one.name), null);
      return { kind: "model", name: one.name, links, short: inShort(links, false) };
    });
    rows.show([...routes, ...models]);
  };
}

/**
 * @param {Model} model
 * @param {string[]} chain
 * @param {Map<string, number>} serving calls per second by target
 * @param {number[] | null} weights
 * @returns {Link[]}
 */
function linksOf(model, chain, serving, weights) {
  return chain.map((name, place) => {
    const target = model.targets.get(name) ?? { ready: true };
    const rests = model.left(target, target.rests || undefined) ?? 0;
    const calls = serving.get(name) ?? 0;
    const weight = weights?.[place] ?? null;
    const serves = calls > 0 ? `serves ${number(calls)}/s` : "";
    const away = rests > 0 ? `rests ${length(rests)}${target.why ? `: ${target.why}` : ""}` : target.ready ? "" : "breaker open";
    if (away) return { name, weight, mood: "bad", text: [away, serves].filter(Boolean).join(", ") };
    if (serves) return { name, weight, mood: place && !weights ? "warn" : "good", text: serves };
    return { name, weight, mood: "idle", text: "ready" };
  });
}

/** @param {Link[]} links @param {boolean} split */
function inShort(links, split) {
  const ready = links.filter((link) => link.mood !== "bad");
  if (!links.length) return "no targets";
  if (!ready.length) return "no target can be tried";
  if (split) return ready.length === links.length ? "split by weight" : `${ready.length} of ${links.length} ready`;
  const serves = links.find((link) => link.text.includes("serves ") && link.mood !== "bad");
  if (serves && serves !== links[0]) return `falls back to ${serves.name}`;
  if (ready[0] !== links[0]) return `next call: ${ready[0].name}`;
  return "first target";
}

function makeLink() {
  return el("li", {}, el("span", { class: "name" }), badge("idle", ""));
}

/** @param {HTMLElement} item @param {Link} link */
function showLink(item, link) {
  say(item.children[0], link.weight === null ? link.name : `${link.name} ×${link.weight}`);
  change(item.children[1], link.mood, link.text);
  mark(item, "data-mood", link.mood);
}
