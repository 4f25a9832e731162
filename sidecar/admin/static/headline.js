// @ts-check
// The first look: is it well, how much passes, what is wrong.

import { byId, el, mark, reconcile, say } from "./dom.js";
import { length, number, percent, plural, seconds, time } from "./format.js";

/** @typedef {import("./model.js").Model} Model */

const MARKS = { healthy: "✓", degraded: "!", unhealthy: "✕", unknown: "…" };
const WORDS = { healthy: "Healthy", degraded: "Degraded", unhealthy: "Unhealthy", unknown: "Waiting for numbers" };
const REASONS = 6;

/** @param {Model} model @returns {() => void} */
export function headline(model) {
  return () => {
    health(model);
    tiles(model);
    link(model);
    welcome(model);
    say(byId("version"), model.state ? model.state.version : "");
  };
}

/** @param {{status: string}} told */
const statusOf = (told) => (told.status in WORDS ? /** @type {keyof typeof WORDS} */ (told.status) : "unknown");

/** What is not well stands in the title: of a tab in the background that is all one sees, and it is not drawn.
 * @param {{status: string}} told */
export function entitle(told) {
  const status = statusOf(told);
  document.title = status === "degraded" || status === "unhealthy" ? `${WORDS[status]}: sidecar` : "sidecar";
}

/** @param {Model} model */
function health(model) {
  const told = model.pulse?.health ?? { status: "unknown", checks: {} };
  const status = statusOf(told);
  mark(byId("health"), "data-status", status);
  say(byId("health").querySelector(".mark"), MARKS[status]);
  say(byId("health-status"), WORDS[status]);
  const reasons = Object.entries(told.checks).map(([name, why]) => `${name}: ${why}`);
  const shown = reasons.slice(0, REASONS);
  if (reasons.length > REASONS) shown.push(`and ${reasons.length - REASONS} more`);
  if (status === "healthy") shown.push("Nothing is open, nothing rests, the file on disk is the one in use.");
  reconcile(byId("health-reasons"), shown, (text) => text, () => el("li"), say);
}

/** @param {Model} model */
function tiles(model) {
  const of = model.numbers("");
  const waiting = !model.pulse;
  const share = of.calls > 0 ? of.errors / of.calls : null;
  const states = [...model.breakers.values()].map((breaker) => breaker.state);
  const open = states.filter((one) => one === "open").length;
  const probed = states.filter((one) => one === "half_open").length;
  const state = model.state;
  /** @type {[string, string, string, string][]} name, value, what stands below, mood */
  const told = [
    ["Calls", number(of.calls), "per second", ""],
    ["Errors", percent(share), `${number(of.errors)} per second`, (share ?? 0) >= 0.05 ? "bad" : (share ?? 0) >= 0.01 ? "warn" : ""],
    ["Latency p95", seconds(of.p95), `p50 ${seconds(of.p50)}`, ""],
    ["First token p95", seconds(of.ttfb_p95), "or first byte", ""],
    ["In flight", number(of.inflight), `${number(of.retries + of.fallbacks)} tried again per second`, ""],
    ["Breakers open", String(open), `${probed ? `${probed} half-open, ` : ""}of ${states.length}`, open ? "bad" : probed ? "warn" : ""],
    ["Generation", state ? String(state.generation) : "–", state ? `up ${length(model.now() - state.started)}` : "of the configuration", state?.reload?.result === "failure" ? "warn" : ""],
  ];
  const make = () => el("div", { class: "tile" }, el("dt"), el("dd", { class: "value" }), el("dd", { class: "faint" }));
  reconcile(byId("tiles"), told, ([name]) => name, make, (tile, [name, value, below, mood]) => {
    say(tile.children[0], name);
    say(tile.children[1], waiting ? "–" : value);
    say(tile.children[2], below);
    mark(tile, "data-mood", mood);
  });
}

/** @param {Model} model */
function link(model) {
  const { at, why, until } = model.link;
  const since = model.pulse ? ` Numbers are from ${time(model.pulse.at)}.` : "";
  const left = Math.ceil(until - model.now());
  const texts = {
    connecting: "Connecting",
    live: "Live",
    lost: `Connection lost${why && ` (${why})`}, ${left > 0 ? `trying again in ${plural(left, "second")}` : "trying again"}.${since}`,
    denied: `${why}${since}`,
  };
  mark(byId("link"), "data-link", at);
  say(byId("link-text"), texts[at]);
  const away = at === "lost" || at === "denied";
  byId("again").hidden = !away;
  document.body.classList.toggle("stale", away);
}

/** What a person may try who sees an empty page. @param {Model} model */
function welcome(model) {
  const place = byId("welcome");
  const { state, pulse } = model;
  place.hidden = !state || !pulse || model.calls.length > 0 || model.numbers("").calls > 0;
  if (place.hidden) return;
  const http = state.listeners.http;
  if (!state.routes.length) {
    say(byId("welcome-text"), "The policy file has no routes, so there is nothing to call. Add one; it is live a second after you saved the file:");
    say(byId("welcome-command"), '[upstreams.shop]\nurl = "http://127.0.0.1:9001"\n\n[routes.shop]\nmatch = { path = "/*" }\nchain = ["shop"]');
  } else if (http && !http.startsWith("unix:")) {
    const path = state.routes.find((/** @type {any} */ route) => route.match?.path)?.match.path ?? "/";
    say(byId("welcome-text"), `Send one to ${http}, and it is here within a second:`);
    say(byId("welcome-command"), `curl -i 'http://${http}${path.replace(/\*$/, "")}'`);
  } else {
    say(byId("welcome-text"), "Send one to a listener, and it is here within a second.");
    say(byId("welcome-command"), Object.entries(state.listeners).map(([name, address]) => `${name}  ${address}`).join("\n"));
  }
}
