// @ts-check
// The last minutes of each route, a place in a ring for each pulse: what the plots draw. 28 bytes a route and pulse.

const KEPT = 300; // pulses, one a second
const SMOOTH = 10; // pulses over which a rate is taken, as in the tables: by the second, little traffic is a comb

/** What is kept of a pulse: counts, and times in seconds; NaN where nothing is known. */
const FIELDS = /** @type {const} */ (["calls", "errors", "p50", "p95", "p99", "ttfb50", "ttfb95"]);

/** @typedef {Record<typeof FIELDS[number], Float32Array>} Series */

export class History {
  constructor() {
    this.at = new Float64Array(KEPT).fill(NaN);
    this.seconds = new Float32Array(KEPT).fill(NaN);
    this.next = 0;
    this.filled = 0;
    /** @type {Map<string, Series>} by route; the empty name is all of them */
    this.routes = new Map();
  }

  /** @param {number} at unix seconds @param {number} seconds since the pulse before @param {Map<string, any>} told */
  add(at, seconds, told) {
    const place = this.next;
    this.at[place] = at;
    this.seconds[place] = seconds;
    for (const series of this.routes.values()) for (const field of FIELDS) series[field][place] = NaN;
    for (const [name, one] of told) {
      const series = this.#of(name);
      series.calls[place] = one.calls;
      series.errors[place] = one.errors;
      series.p50[place] = one.p50 ?? NaN;
      series.p95[place] = one.p95 ?? NaN;
      series.p99[place] = one.p99 ?? NaN;
      series.ttfb50[place] = one.ttfb_p50 ?? NaN;
      series.ttfb95[place] = one.ttfb_p95 ?? NaN;
    }
    // A route that is not told had no calls: that is known, unlike its times.
    for (const [name, series] of this.routes) if (!told.has(name)) series.calls[place] = 0;
    this.next = (place + 1) % KEPT;
    this.filled = Math.min(KEPT, this.filled + 1);
  }

  /** The line was broken: nothing is known of this time. @param {number} at */
  gap(at) {
    if (!this.filled) return;
    this.at[this.next] = at;
    this.seconds[this.next] = NaN;
    for (const series of this.routes.values()) for (const field of FIELDS) series[field][this.next] = NaN;
    this.next = (this.next + 1) % KEPT;
    this.filled = Math.min(KEPT, this.filled + 1);
  }

  /** @param {string} name */
  #of(name) {
    let series = this.routes.get(name);
    if (!series) {
      series = /** @type {Series} */ (Object.fromEntries(FIELDS.map((field) => [field, new Float32Array(KEPT).fill(NaN)])));
      this.routes.set(name, series);
    }
    return series;
  }

  /** Forgets routes that are no more. @param {Set<string>} left */
  keep(left) {
    for (const name of this.routes.keys()) if (name && !left.has(name)) this.routes.delete(name);
  }

  /** @param {ArrayLike<number>} ring @returns {(number | null)[]} oldest first, null where nothing is known */
  #unrolled(ring) {
    const first = (this.next - this.filled + KEPT) % KEPT;
    const out = new Array(this.filled);
    for (let i = 0; i < this.filled; i++) {
      const value = ring[(first + i) % KEPT];
      out[i] = Number.isNaN(value) ? null : value;
    }
    return out;
  }

  /** @returns {(number | null)[]} unix seconds, oldest first */
  times() {
    return this.#unrolled(this.at);
  }

  /** Calls per second. @param {string} name @returns {(number | null)[]} */
  rate(name) {
    return this.#shares(name, "calls", this.#unrolled(this.seconds));
  }

  /** The share of calls that failed, where there were calls. @param {string} name @returns {(number | null)[]} */
  errors(name) {
    return this.#shares(name, "errors", this.values(name, "calls"));
  }

  /** @param {string} name @param {"calls" | "errors"} field @param {(number | null)[]} of */
  #shares(name, field, of) {
    const counts = this.values(name, field);
    return counts.map((_, place) => {
      let [sum, whole] = [0, 0];
      // A gap ends the stretch: what was before it is not now.
      for (let i = place; i > place - SMOOTH && i >= 0 && of[i] !== null; i--) {
        sum += counts[i] ?? 0;
        whole += of[i] ?? 0;
      }
      return whole > 0 ? sum / whole : null;
    });
  }

  /** @param {string} name @param {typeof FIELDS[number]} field @returns {(number | null)[]} */
  values(name, field) {
    const series = this.routes.get(name);
    return series ? this.#unrolled(series[field]) : new Array(this.filled).fill(null);
  }

  /** The routes with the most calls, at most `most`. @param {number} most @returns {string[]} by name */
  busiest(most) {
    /** @type {[number, string][]} */
    const counted = [];
    for (const [name, series] of this.routes) {
      if (!name) continue;
      let sum = 0;
      for (const calls of series.calls) if (!Number.isNaN(calls)) sum += calls;
      if (sum > 0) counted.push([sum, name]);
    }
    counted.sort((a, b) => b[0] - a[0] || (a[1] < b[1] ? -1 : 1));
    return counted.slice(0, most).map((pair) => pair[1]).sort();
  }
}
