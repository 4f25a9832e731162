// @ts-check
// What happened to one call, step by step, as bars on its own time.

import { ask, Refused } from "./access.js";
import { badge } from "./badge.js";
import { byId, el, say } from "./dom.js";
import { number, plural, seconds } from "./format.js";

/** @typedef {import("./badge.js").Mood} Mood */

let asked = 0;

/** @param {any} call as /live tells it */
export async function showTimeline(call) {
  const body = byId("timeline-body");
  const own = ++asked;
  // Over a slow line the answer may come when another call's timeline is open.
  const show = (/** @type {Node[]} */ ...what) => own === asked && body.replaceChildren(...what);
  say(byId("timeline-title"), `Timeline of ${call.id}`);
  show(el("p", { class: "faint" }, "Asking …"));
  byId("timeline").showModal();
  try {
    const told = await (await ask(`requests/${encodeURIComponent(call.id)}`)).json();
    show(...drawn(told));
  } catch (error) {
    const gone = error instanceof Refused && error.status === 404;
    const why = gone ? "It is no longer among the last 1,000 calls." : error instanceof Refused ? error.message : "The sidecar did not answer.";
    show(el("p", {}, why));
  }
}

byId("timeline-close").addEventListener("click", () => byId("timeline").close());

/** @param {any} told */
function drawn(told) {
  /** @type {[string, string][]} */
  const facts = [
    ["Call", [told.method, told.path].filter(Boolean).join(" ")],
    ["Route", told.route || "none"],
    ["Answered by", told.upstream || "the sidecar"],
    ["Answer", [told.grpc_code ?? told.status_code, told.outcome].join(" ")],
    ["Took", seconds(told.seconds)],
    ["First byte after", told.ttfb ? seconds(told.ttfb) : "–"],
    ["Waited here", seconds(told.waited)],
    ["At upstreams", seconds(told.upstream_seconds)],
    ["Bytes in, out", `${number(told.bytes_in)}, ${number(told.bytes_out)}`],
    ["Configuration", `generation ${told.generation}`],
    ["Correlation id", told.correlation_id],
    ["Started", told.started],
  ];
  const list = el("dl", { class: "facts" }, ...facts.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))));
  if (!told.steps.length) return [list, el("p", {}, "No target was tried.")];
  const attempts = told.steps.filter((/** @type {any} */ step) => step.kind === "attempt").length;
  const steps = el("ol", { class: "steps" }, ...told.steps.map((/** @type {any} */ step) => stepOf(step, told.seconds)));
  return [list, el("h3", {}, `${plural(told.steps.length, "step")}, ${plural(attempts, "attempt")}`), steps];
}

/** @param {any} step @param {number} whole seconds of the call */
function stepOf(step, whole) {
  const bar = el("span", { class: "bar", "data-mood": moodOf(step) });
  // Through the object model, which the page's policy allows; a style attribute it does not.
  const share = (/** @type {number} */ value) => `${Math.min(100, whole > 0 ? (value / whole) * 100 : 0).toFixed(2)}%`;
  bar.style.setProperty("margin-inline-start", share(step.at));
  bar.style.setProperty("inline-size", share(step.seconds));
  const answer = [step.grpc_code ?? step.status_code, step.outcome].filter(Boolean).join(" ");
  const what = step.kind === "wait" ? "waits" : step.kind === "skip" ? `skips ${step.target}` : step.target;
  return el(
    "li",
    {},
    el("p", {}, el("span", { class: "name" }, what), answer ? badge(moodOf(step), answer) : null, el("span", { class: "faint" }, `at ${seconds(step.at)}, for ${seconds(step.seconds)}`)),
    el("div", { class: "track", "aria-hidden": "true" }, bar),
    step.why ? el("p", { class: "faint" }, `because: ${step.why}`) : null,
  );
}

/** @param {any} step @returns {Mood} */
function moodOf(step) {
  if (step.kind !== "attempt") return step.kind === "wait" ? "idle" : "warn";
  return step.outcome === "ok" ? "good" : "bad";
}
