// @ts-check
// The calls that ended last, and the way to each one's timeline.

import { badge, change } from "./badge.js";
import { byId, el, mark, say } from "./dom.js";
import { number, plural, seconds, time } from "./format.js";
import { column, numbers, table } from "./table.js";
import { showTimeline } from "./timeline.js";
import { routeChoice } from "./traffic.js";

/** @typedef {import("./model.js").Model} Model */

const LEFT = new Set(["caller_left"]);

/** @param {any} call @returns {import("./badge.js").Mood} */
export function moodOf(call) {
  if (call.outcome === "ok") return call.status >= 400 ? "warn" : "good";
  return LEFT.has(call.outcome) ? "idle" : isRefused(call) ? "warn" : "bad";
}

/** @param {any} call */
const isRefused = (call) => call.outcome !== "ok" && !LEFT.has(call.outcome) && !call.attempts;

/** @type {Record<string, (call: any) => boolean>} */
const CHOSEN = {
  all: () => true,
  well: (call) => call.outcome === "ok",
  unwell: (call) => call.outcome !== "ok",
  refused: isRefused,
  again: (call) => call.attempts > 1,
};

/** What a call was answered with. @param {any} call */
const answerOf = (call) => [call.code || call.grpc_code || call.status || call.status_code, call.outcome].filter(Boolean).join(" ");

/** @param {Model} model @returns {() => void} */
export function calls(model) {
  const route = byId("calls-route");
  const outcome = byId("calls-outcome");
  const pause = byId("calls-pause");
  /** @type {any[] | null} those shown while it is paused */
  let held = null;
  const skipped = el("p", { class: "faint" });
  const rows = table(byId("call-list"), {
    caption: "Recent calls, the newest first",
    key: (call) => String(call.number),
    empty: "No call ended since this page was opened, or none is as chosen.",
    columns: [
      column("Ended", (/** @type {any} */ call) => time(call.at)),
      {
        label: "Call",
        make: (cell) => cell.append(el("code", { class: "path" })),
        show: (cell, call) => say(cell.children[0], called(call)),
      },
      column("Route", (call) => call.route || "none"),
      column("Answered by", (call) => call.upstream || "sidecar"),
      numbers("Attempts", (call) => call.attempts, number),
      { label: "Answer", make: (cell) => cell.append(badge("idle", "")), show: (cell, call) => change(cell.children[0], moodOf(call), answerOf(call)) },
      numbers("Took", (call) => call.seconds, seconds),
      numbers("First byte", (call) => call.ttfb || null, seconds),
      {
        label: "",
        make: (cell, call) => cell.append(el("button", { type: "button", onclick: () => showTimeline(call()) }, "Timeline")),
        show: (cell, call) => mark(cell.children[0], "aria-label", `Timeline of ${called(call)} at ${time(call.at)}`),
      },
    ],
  });
  byId("call-list").append(skipped);

  const draw = () => {
    routeChoice(route, model, "all");
    const of = held ?? model.calls;
    rows.show(of.filter((call) => (!route.value || call.route === route.value) && CHOSEN[outcome.value](call)));
    skipped.hidden = !model.skipped;
    say(skipped, `${plural(model.skipped, "call")} more than this list has room for passed since the page was opened.`);
  };
  route.addEventListener("change", draw);
  outcome.addEventListener("change", draw);
  pause.addEventListener("click", () => {
    held = held ? null : [...model.calls];
    mark(pause, "aria-pressed", String(held !== null));
    draw();
  });
  return draw;
}

/** @param {any} call */
export const called = (call) => (call.protocol === "grpc" ? call.path : `${call.method} ${call.path}`);
