// @ts-check
// What the page knows, made of what /live tells. Everything here has a bound, however long the page is open.

import { History } from "./history.js";

const CALLS = 500;
const EVENTS = 200;
const SMOOTH = 10; // seconds over which a table's rates are taken

const COUNTED = ["calls", "errors", "refused", "retries", "fallbacks"];
const TIMED = ["p50", "p95", "p99", "ttfb_p50", "ttfb_p95"];

/** @typedef {{calls: number, errors: number, refused: number, retries: number, fallbacks: number, inflight: number,
 *   p50: number?, p95: number?, p99: number?, ttfb_p50: number?, ttfb_p95: number?}} Numbers rates are per second */

export class Model {
  constructor() {
    /** @type {any} */
    this.state = null;
    /** @type {any} */
    this.pulse = null;
    /** @type {{at: "connecting" | "live" | "lost" | "denied", why: string, until: number}} `until`: by `now()` */
    this.link = { at: "connecting", why: "", until: 0 };
    this.history = new History();
    /** @type {Map<string, any>} */ this.breakers = new Map();
    /** @type {Map<string, any>} */ this.targets = new Map();
    /** @type {Map<string, any>} */ this.limits = new Map();
    /** @type {Map<string, any>} */ this.upstreams = new Map();
    /** @type {any[]} newest first */ this.calls = [];
    this.skipped = 0; // calls that a pulse had no room for
    /** @type {any[]} newest first */ this.events = [];
    this.numbered = 0;
    /** @type {any[]} newest last */ this.recent = [];
    this.heard = 0;
    this.offset = 0; // seconds that the sidecar's clock is ahead of ours
    this.whole = true; // the next pulse tells everything
  }

  /** The sidecar's clock. @returns {number} unix seconds */
  now() {
    return Date.now() / 1000 + this.offset;
  }

  opened() {
    this.whole = true;
    this.link = { at: "live", why: "", until: 0 };
  }

  /** @param {"lost" | "denied"} at @param {string} why @param {number} [wait] seconds */
  closed(at, why, wait = 0) {
    if (this.link.at === "live") this.history.gap(this.now());
    this.link = { at, why, until: this.now() + wait };
  }

  /** @param {any} state */
  takeState(state) {
    this.state = state;
    this.offset = state.now - Date.now() / 1000;
    this.history.keep(new Set(state.routes.map((/** @type {any} */ route) => route.name)));
  }

  /** @param {any} pulse */
  takePulse(pulse) {
    this.offset = pulse.at - Date.now() / 1000;
    const known = { breakers: this.breakers, targets: this.targets, limits: this.limits, upstreams: this.upstreams };
    for (const [name, map] of Object.entries(known)) {
      if (this.whole) map.clear();
      for (const [key, one] of Object.entries(pulse[name] ?? {})) {
        if (one === null) map.delete(key);
        else map.set(key, { ...one, heard: pulse.at });
      }
    }
    if (this.whole) this.recent = [];
    this.whole = false;
    const { total } = pulse;
    this.pulse = pulse;
    this.recent.push({ seconds: pulse.seconds, total, routes: pulse.routes, models: pulse.models });
    while (this.recent.length > 1 && this.elapsed > SMOOTH + 0.5) this.recent.shift();
    this.history.add(pulse.at, pulse.seconds, new Map([["", total], ...Object.entries(pulse.routes)]));
    this.addCalls(pulse.calls ?? []);
    this.skipped += pulse.more_calls ?? 0;
  }

  /** @param {any[]} calls newest last */
  addCalls(calls) {
    const known = new Set(this.calls.slice(0, 200).map((call) => `${call.id} ${call.at}`));
    const news = calls.filter((call) => !known.has(`${call.id} ${call.at}`)).reverse();
    for (const call of news) call.number = ++this.numbered;
    this.calls = [...news, ...this.calls].sort((a, b) => b.at - a.at).slice(0, CALLS);
  }

  /** @param {string} kind @param {any} told */
  takeEvent(kind, told) {
    this.events.unshift({ ...told, kind, number: ++this.numbered, at: Date.parse(told.timestamp) / 1000 || this.now() });
    this.events.length = Math.min(this.events.length, EVENTS);
    const breaker = kind === "breaker" && this.breakers.get(told.service);
    if (breaker) breaker.state = told.new;
  }

  /** Over the last seconds. @param {string} route empty: all of them @returns {Numbers} */
  numbers(route) {
    const told = this.recent.map((one) => (route ? one.routes[route] : one.total));
    const { elapsed } = this;
    const last = told.at(-1) ?? {};
    /** @type {any} */
    const numbers = { inflight: last.inflight ?? 0 };
    for (const name of COUNTED) {
      const sum = told.reduce((counted, one) => counted + (one?.[name] ?? 0), 0);
      numbers[name] = elapsed > 0 ? sum / elapsed : 0;
    }
    for (const name of TIMED) numbers[name] = last[name] ?? null;
    return numbers;
  }

  /**
   * Which targets answered the calls of a route, or for a model, in the last seconds.
   * @param {"routes" | "models"} of @param {string} name @returns {Map<string, number>} per second
   */
  serving(of, name) {
    const sums = new Map();
    const { elapsed } = this;
    for (const one of this.recent) {
      for (const [target, calls] of Object.entries(one[of]?.[name]?.serving ?? {})) {
        sums.set(target, (sums.get(target) ?? 0) + calls);
      }
    }
    for (const [target, calls] of sums) sums.set(target, elapsed > 0 ? calls / elapsed : 0);
    return sums;
  }

  /** Seconds that are left of what was told with `told.heard`. @param {any} told @param {number | undefined} seconds */
  left(told, seconds) {
    return seconds === undefined ? undefined : Math.max(0, seconds - (this.now() - told.heard));
  }

  /** Seconds that the rates are taken over. */
  get elapsed() {
    return this.recent.reduce((sum, one) => sum + one.seconds, 0);
  }

  /** All routes: those of the file, and what calls without one are told under. @returns {any[]} */
  get routes() {
    const named = this.state?.routes ?? [];
    const known = new Set(named.map((/** @type {any} */ route) => route.name));
    const others = Object.keys(this.pulse?.routes ?? {}).filter((name) => !known.has(name));
    return [...named, ...others.map((name) => ({ name, match: {}, chain: [], limit: null }))];
  }
}
