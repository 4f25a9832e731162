// @ts-check
// A state as a word with a sign: never by its colour alone.

import { el, mark, say } from "./dom.js";

/** @typedef {"good" | "warn" | "bad" | "idle"} Mood */

const SIGNS = { good: "●", warn: "◐", bad: "▲", idle: "○" };

/** @param {Mood} mood @param {string} text */
export function badge(mood, text) {
  const made = el("span", { class: "badge" }, el("span", { "aria-hidden": "true" }), el("span"));
  change(made, mood, text);
  return made;
}

/** @param {Element} made @param {Mood} mood @param {string} text */
export function change(made, mood, text) {
  mark(made, "data-mood", mood);
  say(made.children[0], SIGNS[mood]);
  say(made.children[1], text);
}
