// @ts-check
// Asking the admin listener, with the token where it wants one. The token is kept for this tab alone.

import { askToken } from "./dialogs.js";

const KEY = "sidecar-admin-token";
const PATIENCE = 15; // seconds for the head of an answer: a browser itself would wait for minutes, or for ever

/** What the listener said no with. */
export class Refused extends Error {
  /** @param {number} status @param {string} message @param {any} [told] the whole answer */
  constructor(status, message, told = {}) {
    super(message);
    this.status = status;
    this.told = told;
  }
}

let token = stored();

function stored() {
  try {
    return sessionStorage.getItem(KEY) ?? "";
  } catch {
    return "";
  }
}

/** @param {string} value empty: forget it */
function keep(value) {
  token = value;
  try {
    if (value) sessionStorage.setItem(KEY, value);
    else sessionStorage.removeItem(KEY);
  } catch {
    // a browser that stores nothing: the token lasts as long as the page
  }
  changed();
}

let changed = () => {};

/** @param {(kept: boolean) => void} hear told now and whenever a token is kept or forgotten */
export function onToken(hear) {
  changed = () => hear(token !== "");
  changed();
}

export const forgetToken = () => keep("");

/**
 * One request. Asks for the token where it is missing or wrong, as often as the person gives another one.
 * @param {string} path relative to the page
 * @param {RequestInit & {needed?: boolean}} [options] `needed`: it is known that the token is
 * @returns {Promise<Response>} a good answer
 * @throws {Refused} the listener said no, or nobody gave a token; any other error: it did not answer
 */
export async function ask(path, options = {}) {
  const { needed = false, ...init } = options;
  let given = false;
  const again = async (/** @type {string} */ why) => {
    await renew(why);
    given = true;
  };
  if (needed && !token) await again("Changes need the admin token.");
  for (;;) {
    const sent = token;
    const headers = { ...init.headers, ...(sent ? { Authorization: `Bearer ${sent}` } : {}) };
    const answer = await patiently((signal) => fetch(path, { cache: "no-store", redirect: "error", credentials: "same-origin", ...init, headers, signal }), init.signal);
    if (answer.ok) return answer;
    const told = await answer.json().catch(() => ({}));
    const refused = new Refused(answer.status, told.error?.message ?? `answered ${answer.status}`, told);
    const missing = answer.status === 401;
    const wrong = answer.status === 403 && told.error?.code === "forbidden_token" && sent !== "";
    if (!missing && !wrong) throw refused;
    // Another request may have asked meanwhile: then its token is tried first.
    const another = given ? "That was not the admin token." : "The token that this tab has is not the admin token.";
    if (token === sent) await again(wrong ? another : "This sidecar asks for its admin token.");
  }
}

/**
 * @param {(signal: AbortSignal) => Promise<Response>} send
 * @param {AbortSignal | null} [ended] by who asks
 */
async function patiently(send, ended) {
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(), PATIENCE * 1000);
  try {
    return await send(ended ? AbortSignal.any([ended, late.signal]) : late.signal);
  } finally {
    clearTimeout(timer);
  }
}

/** @type {Promise<void> | null} */
let asking = null;

/** @param {string} why */
function renew(why) {
  asking ??= askToken(why)
    .then((given) => {
      if (!given) throw new Refused(401, "No admin token was given.");
      keep(given);
    })
    .finally(() => {
      asking = null;
    });
  return asking;
}
