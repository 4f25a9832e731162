// @ts-check
// The line to /live: opened, read, and opened again when it breaks.

import { ask, Refused } from "./access.js";
import { frames } from "./frames.js";

const FIRST_WAIT = 0.5; // seconds; doubles
const LONGEST_WAIT = 15;
const QUIET = 10; // seconds without a byte, where a pulse comes each second: the other side is gone

/**
 * @typedef {object} Hearing
 * @property {() => void} opened a line is open: what comes next begins anew
 * @property {(name: string, data: any) => void} heard
 * @property {(why: string, wait: number) => void} lost the next try is in `wait` seconds; `why` where the sidecar told
 * @property {(why: string) => void} denied nobody tries again before `again` is called
 */

/** @param {Hearing} hearing @returns {{again: () => void}} */
export function listen(hearing) {
  let tries = 0;
  let wake = () => {};

  const go = async () => {
    for (;;) {
      let why = "";
      try {
        await read(hearing, () => {
          tries = 0;
        });
      } catch (error) {
        if (error instanceof Refused && (error.status === 401 || error.status === 403)) {
          hearing.denied(error.message);
          await new Promise((resolve) => {
            wake = () => resolve(undefined);
          });
          continue;
        }
        if (error instanceof Refused) why = error.message;
      }
      const wait = Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** tries++) * (0.75 + Math.random() / 2);
      hearing.lost(why, wait);
      await new Promise((resolve) => {
        const timer = setTimeout(resolve, wait * 1000);
        wake = () => {
          clearTimeout(timer);
          resolve(undefined);
        };
      });
    }
  };
  go();
  addEventListener("online", () => wake());
  return { again: () => wake() };
}

/** One line, until it ends. @param {Hearing} hearing @param {() => void} well a first event came */
async function read(hearing, well) {
  const broken = new AbortController();
  const answer = await ask("live", { headers: { Accept: "text/event-stream" }, signal: broken.signal });
  if (!answer.body) return;
  hearing.opened();
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  const take = frames((name, data) => {
    well();
    hearing.heard(name, JSON.parse(data));
  });
  let last = performance.now();
  const watch = setInterval(() => {
    if (performance.now() - last > QUIET * 1000) broken.abort();
  }, 1000);
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      last = performance.now();
      take(value);
    }
  } finally {
    clearInterval(watch);
    broken.abort();
  }
}
