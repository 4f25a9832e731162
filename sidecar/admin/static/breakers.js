// @ts-check
// The breakers, and the two buttons that move them.

import { ask, Refused } from "./access.js";
import { alarm, announce } from "./announce.js";
import { badge, change } from "./badge.js";
import { confirmed } from "./dialogs.js";
import { byId, el, mark } from "./dom.js";
import { length, number, stateWord } from "./format.js";
import { column, numbers, table } from "./table.js";

/** @typedef {import("./model.js").Model} Model */

const MOODS = /** @type {Record<string, import("./badge.js").Mood>} */ ({ closed: "good", half_open: "warn", open: "bad" });

/** @param {Model} model @returns {() => void} */
export function breakers(model) {
  const rows = table(byId("breaker-list"), {
    caption: "Circuit breakers",
    key: (row) => row.name,
    search: (row) => `${row.name} ${written(row)}`,
    empty: "No upstream has a circuit breaker.",
    urgent: (row) => row.state !== "closed",
    columns: [
      column("Breaker", (/** @type {any} */ row) => row.name, { sort: (row) => row.name }),
      {
        label: "State",
        sort: (row) => row.state,
        make: (cell) => cell.append(badge("idle", "")),
        show: (cell, row) => change(cell.children[0], row.suspected ? "warn" : MOODS[row.state] ?? "idle", written(row)),
      },
      column("Time left", (row) => timeLeft(model, row)),
      numbers("Failed lately", (row) => row.recent_failures, number),
      numbers("Failed", (row) => row.failure_count, number),
      numbers("Calls", (row) => row.total_calls, number),
      { label: "", make: (cell, row) => cell.append(buttons(model, row, draw)), show: (cell, row) => named(cell, row) },
    ],
  });

  function draw() {
    rows.show([...model.breakers].map(([name, breaker]) => ({ name, ...breaker })));
  }
  return draw;
}

/** `suspected`: another sidecar of the fleet has seen enough failures of the same upstream. @param {any} row */
const written = (row) => (row.suspected ? "closed, suspected" : stateWord(row.state));

/** @param {Model} model @param {any} row */
function timeLeft(model, row) {
  if (row.state === "closed") return row.suspected ? "one failure opens it" : "–";
  if (row.state === "half_open") return "a probe decides";
  const left = model.left(row, row.retry_after);
  if (left === undefined) return "until it is closed by hand";
  return left <= 0 ? "the next call is a probe" : length(left);
}

/** @param {Model} model @param {() => any} row @param {() => void} draw */
function buttons(model, row, draw) {
  const move = async (/** @type {"open" | "reset"} */ how) => {
    const { name } = row();
    try {
      const answer = await ask(`circuit-breakers/${encodeURIComponent(name)}/${how}`, { method: "POST", needed: model.state?.token });
      model.breakers.set(name, { ...(await answer.json()), heard: model.now() });
      announce(`Breaker ${name} is ${how === "open" ? "open" : "closed"}.`);
      draw();
    } catch (error) {
      alarm(`Breaker ${name} was not ${how === "open" ? "opened" : "closed"}: ${error instanceof Refused ? error.message : "the sidecar did not answer."}`);
    }
  };
  const open = async () => {
    const { name } = row();
    const text = "No call goes to it until the breaker is closed by hand: each goes on to the next target of its chain, or is refused.";
    if (await confirmed(`Open breaker ${name}?`, text, "Open it")) await move("open");
  };
  return el(
    "div",
    { class: "buttons" },
    el("button", { type: "button", class: "danger", onclick: open }, "Open"),
    el("button", { type: "button", onclick: () => move("reset") }, "Close"),
  );
}

/** What a button does is its name. @param {HTMLElement} cell @param {any} row */
function named(cell, row) {
  const [open, close] = cell.querySelectorAll("button");
  mark(open, "aria-label", `Open breaker ${row.name}`);
  mark(close, "aria-label", `Close breaker ${row.name}`);
  close.classList.toggle("primary", row.state !== "closed");
}
