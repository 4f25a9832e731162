// @ts-check
// What happens, as it happens: the last two hundred events.

import { badge } from "./badge.js";
import { byId, el, mark, reconcile } from "./dom.js";
import { seconds, stateWord, time } from "./format.js";

/** @typedef {import("./model.js").Model} Model */
/** @typedef {import("./badge.js").Mood} Mood */

/** @type {Record<string, (told: any) => [Mood, string]>} */
const WORDS = {
  breaker: (told) => [told.new === "open" ? "bad" : told.new === "closed" ? "good" : "warn", `${told.service}: ${stateWord(told.old)} → ${stateWord(told.new)}`],
  rest: (told) => ["warn", `${told.upstream} rests for ${seconds(told.seconds)}: ${told.reason}`],
  retry: (told) => ["idle", `${told.route}: ${told.upstream} again, ${told.reason}`],
  fallback: (told) => ["warn", `${told.route}: ${told.source} → ${told.target}, ${told.reason}`],
  refusal: (told) => ["warn", `${told.route || "no route"}: ${[told.status_code ?? told.grpc_code, told.outcome].join(" ")}`],
  reload: (told) => (told.result === "success" ? ["good", `generation ${told.generation} is live`] : ["bad", `refused: ${told.mistakes?.[0] ?? "an error of the sidecar's own"}`]),
  store: (told) => (told.up ? ["good", `${told.store} answers`] : ["bad", `${told.store}: ${told.why}`]),
  breaker_news: (told) => ["idle", `${told.service}: ${told.told}, says ${told.sender}`],
  dropped: (told) => ["idle", `${told.count} events came too fast to be shown`],
};

export const EVENTS = Object.keys(WORDS);

/** @param {Model} model @returns {() => void} */
export function feed(model) {
  const list = byId("feed");
  const pause = byId("events-pause");
  /** @type {any[] | null} */
  let held = null;
  const none = el("p", { class: "empty" }, "Nothing happened since this page was opened: no breaker moved, nothing was tried again or refused.");
  list.after(none);

  const make = (/** @type {any} */ told) => {
    const [mood, text] = WORDS[told.kind](told);
    return el("li", {}, el("time", { datetime: new Date(told.at * 1000).toISOString() }, time(told.at)), badge(mood, told.kind), el("span", { class: "what" }, text));
  };
  const draw = () => {
    const shown = held ?? model.events;
    none.hidden = shown.length > 0;
    list.hidden = !shown.length;
    reconcile(list, shown, (told) => String(told.number), make, () => {});
  };
  pause.addEventListener("click", () => {
    held = held ? null : [...model.events];
    mark(pause, "aria-pressed", String(held !== null));
    draw();
  });
  return draw;
}
