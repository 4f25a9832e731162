// @ts-check
// Which configuration is live, and what became of the last reload.

import { ask, Refused } from "./access.js";
import { alarm, announce } from "./announce.js";
import { badge } from "./badge.js";
import { byId, el, reconcile, say } from "./dom.js";
import { date, plural } from "./format.js";

/** @typedef {import("./model.js").Model} Model */

const TURNOVER = /** @type {const} */ ({ made: "Made", reset: "Begun anew", dropped: "Dropped", kept: "Kept" });
const SHOWN = 12; // names of one kind, mistakes of one file: there may be thousands

/** @param {Model} model @returns {() => void} */
export function configuration(model) {
  byId("reload").addEventListener("click", () => reload(model));
  let told = "";
  return () => {
    const { state } = model;
    if (!state) return;
    /** @type {[string, string][]} */
    const facts = [
      ["Generation", String(state.generation)],
      ["File", state.file],
      ["SHA-256", state.hash],
      ["Running since", date(state.started)],
      ...Object.entries(state.listeners).map(([name, address]) => /** @type {[string, string]} */ ([`Listener ${name}`, String(address)])),
    ];
    if (state.log_level) facts.push(["Log level", state.log_level]);
    if (state.draining) facts.push(["Draining", "it takes no new work and ends when calls have"]);
    const make = () => el("div", {}, el("dt"), el("dd"));
    reconcile(byId("facts"), facts, ([name]) => name, make, (fact, [name, value]) => {
      say(fact.children[0], name);
      say(fact.children[1], value);
    });
    const now = JSON.stringify(state.reload);
    if (now === told) return;
    told = now;
    byId("reload-told").replaceChildren(...lastReload(state.reload));
  };
}

/** @param {any} last */
function lastReload(last) {
  if (!last) return [el("p", { class: "faint" }, "Not reloaded since the start.")];
  const well = last.result === "success";
  const head = el("h3", {}, "Last reload ", badge(well ? "good" : "bad", well ? "taken" : "refused"), el("span", { class: "faint" }, date(last.at)));
  return [head, ...(well ? difference(last.difference ?? {}) : mistakes(last.mistakes ?? []))];
}

/** @param {any} changed */
function difference(changed) {
  const rows = Object.entries(TURNOVER).map(([how, label]) => {
    const names = changed[how] ?? [];
    const more = names.length - SHOWN;
    const text = names.slice(0, SHOWN).join(", ") + (more > 0 ? ` and ${more} more` : "");
    return el("div", {}, el("dt", {}, label), el("dd", {}, text || "nothing"));
  });
  for (const [name, address] of Object.entries(changed.moved ?? {})) {
    rows.push(el("div", {}, el("dt", {}, `Listener ${name}`), el("dd", {}, `now at ${address || "nothing"}`)));
  }
  if (changed.next_start?.length) {
    rows.push(el("div", {}, el("dt", {}, "From the next start"), el("dd", {}, changed.next_start.join(", "))));
  }
  return [el("dl", { class: "facts" }, ...rows)];
}

/** @param {any[]} all texts, or what POST /reload tells of each */
function mistakes(all) {
  if (!all.length) return [el("p", {}, "An error of the sidecar's own: its log has it. What was live is live.")];
  const items = all.slice(0, SHOWN).map((one) => {
    if (typeof one === "string") return el("li", {}, one);
    const where = `${one.file.split("/").at(-1)}${one.line ? `:${one.line}` : ""}`;
    const help = [one.allowed && `Allowed: ${one.allowed}.`, one.nearest && `Did you mean ${one.nearest}?`].filter(Boolean).join(" ");
    return el("li", {}, el("code", { title: one.file }, where), " ", one.key ? el("b", {}, one.key) : null, ` ${one.problem}`, help ? el("span", { class: "faint" }, ` ${help}`) : null);
  });
  const more = all.length - SHOWN;
  if (more > 0) items.push(el("li", { class: "faint" }, `and ${more} more, which sidecar check tells`));
  return [el("p", {}, `Nothing has changed: the file on disk has ${plural(all.length, "mistake")}.`), el("ul", { class: "mistakes" }, ...items)];
}

/** @param {Model} model */
async function reload(model) {
  try {
    const answer = await (await ask("reload", { method: "POST", needed: model.state?.token })).json();
    announce(`The policy file is live as generation ${answer.generation}.`);
  } catch (error) {
    const found = error instanceof Refused ? error.told.mistakes : null;
    const why = found ? `it has ${plural(found.length, "mistake")}.` : error instanceof Refused ? error.message : "the sidecar did not answer.";
    alarm(`The policy file was not taken: ${why}`);
  }
}
