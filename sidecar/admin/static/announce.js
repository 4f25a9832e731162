// @ts-check
// What is said aloud: moves of breakers, health, the line, reloads. All of a few seconds in one sentence, not one by one.

import { byId, say } from "./dom.js";

const PAUSE = 4; // seconds between two announcements
const MOST = 4; // things that one names
const ALARM = 12; // seconds that an alarm stays

/** @type {string[]} */
let waiting = [];
let lastAt = -Infinity;
let timer = 0;

/** @param {string} text */
export function announce(text) {
  if (waiting.at(-1) !== text) waiting.push(text);
  if (timer) return;
  const wait = Math.max(0, lastAt + PAUSE * 1000 - performance.now());
  timer = window.setTimeout(() => {
    timer = 0;
    lastAt = performance.now();
    const more = waiting.length - MOST;
    say(byId("said"), waiting.slice(0, MOST).join(" ") + (more > 0 ? ` And ${more} more.` : ""));
    waiting = [];
  }, wait);
}

let alarmed = 0;

/** Something that the person asked for did not happen: it is said at once, and shown for a while. @param {string} text */
export function alarm(text) {
  const place = byId("alert");
  place.hidden = false;
  say(place, text);
  clearTimeout(alarmed);
  alarmed = window.setTimeout(() => {
    place.hidden = true;
    say(place, "");
  }, ALARM * 1000);
}
