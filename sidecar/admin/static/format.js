// @ts-check
// Numbers as people read them.

const none = "–";

/** @param {number | null | undefined} value a rate, a count @returns {string} three digits at most behind which nobody looks */
export function number(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return none;
  if (value === 0) return "0";
  if (value < 0.1) return value.toFixed(2);
  if (value < 10) return value.toFixed(1).replace(/\.0$/, "");
  if (value < 10_000) return String(Math.round(value));
  if (value < 1_000_000) return `${trimmed(value / 1000)}k`;
  return `${trimmed(value / 1_000_000)}M`;
}

/** @param {number} value */
const trimmed = (value) => (value < 100 ? value.toFixed(1).replace(/\.0$/, "") : String(Math.round(value)));

/** @param {number | null | undefined} share 0 to 1 */
export function percent(share) {
  if (share === null || share === undefined || Number.isNaN(share)) return none;
  const hundred = share * 100;
  if (hundred === 0) return "0 %";
  return hundred < 10 ? `${hundred.toFixed(1).replace(/\.0$/, "")} %` : `${Math.round(hundred)} %`;
}

/** A time that something took. @param {number | null | undefined} value seconds */
export function seconds(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return none;
  if (value === 0) return "0 ms";
  if (value < 0.001) return `${(value * 1000).toFixed(2)} ms`;
  if (value < 0.01) return `${(value * 1000).toFixed(1).replace(/\.0$/, "")} ms`;
  if (value < 1) return `${Math.round(value * 1000)} ms`;
  if (value < 60) return `${value.toFixed(value < 10 ? 2 : 1).replace(/\.?0+$/, "")} s`;
  return length(value);
}

/** A time to wait or one that went by, in whole seconds. @param {number} value seconds */
export function length(value) {
  const whole = Math.max(0, Math.round(value));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  if (whole < 86_400) return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
  return `${Math.floor(whole / 86_400)} d ${Math.floor((whole % 86_400) / 3600)} h`;
}

const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const calendar = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "medium" });

/** A moment of today. @param {number} unix seconds */
export const time = (unix) => clock.format(unix * 1000);

/** @param {number} unix seconds */
export const date = (unix) => calendar.format(unix * 1000);

/** A breaker's state, as people write it. @param {string} state */
export const stateWord = (state) => state.replace("_", "-");

/** @param {number} count @param {string} one @param {string} [many] */
export const plural = (count, one, many = `${one}s`) => `${count} ${count === 1 ? one : many}`;

/** A wait, in the unit of a limit's window. @param {number} value seconds */
export const per = (value) => ({ 1: "second", 60: "minute", 3600: "hour", 86400: "day" })[value] ?? length(value);
