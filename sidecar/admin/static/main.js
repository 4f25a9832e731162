// @ts-check
// The page: what /live tells goes into the model, and what the model knows is shown, once for each frame.

import { ask, forgetToken, onToken } from "./access.js";
import { announce } from "./announce.js";
import { breakers } from "./breakers.js";
import { calls } from "./calls.js";
import { chains } from "./chains.js";
import { configuration } from "./configuration.js";
import { byId } from "./dom.js";
import { EVENTS, feed } from "./feed.js";
import { stateWord } from "./format.js";
import { entitle, headline } from "./headline.js";
import { limits } from "./limits.js";
import { Model } from "./model.js";
import { pools } from "./pools.js";
import { listen } from "./stream.js";
import { traffic } from "./traffic.js";

const model = new Model();
const views = [headline, traffic, chains, breakers, limits, pools, calls, feed, configuration].map((view) => view(model));

let drawing = false;

/** A hidden page has no frames, so it draws nothing, and everything again when it is looked at. */
function draw() {
  if (drawing) return;
  drawing = true;
  requestAnimationFrame(() => {
    drawing = false;
    for (const view of views) view();
  });
}

/** @param {string} name @param {any} told */
function heard(name, told) {
  if (name === "state") {
    model.takeState(told);
  } else if (name === "pulse") {
    const before = model.pulse?.health.status;
    model.takePulse(told);
    entitle(told.health);
    if (before && before !== told.health.status) announce(`The sidecar is ${told.health.status}.`);
  } else if (EVENTS.includes(name)) {
    model.takeEvent(name, told);
    if (name === "breaker") announce(`Breaker ${told.service} is ${stateWord(told.new)}.`);
    if (name === "reload" && told.result !== "success") announce("A reload was refused.");
  }
  draw();
}

const line = listen({
  opened() {
    if (model.link.at !== "connecting") announce("Connected again.");
    model.opened();
    before();
    draw();
  },
  heard,
  lost(why, wait) {
    if (model.link.at === "live") announce("The connection is lost. Numbers are old.");
    model.closed("lost", why, wait);
    draw();
  },
  denied(why) {
    model.closed("denied", why);
    announce(why);
    draw();
  },
});

/** What was before this page was opened. */
async function before() {
  try {
    const told = await (await ask("requests?limit=50")).json();
    model.addCalls(told.requests.reverse());
    draw();
  } catch {
    // the list fills by itself
  }
}

byId("forget-token").addEventListener("click", forgetToken);
onToken((kept) => {
  byId("forget-token").hidden = !kept;
});
byId("again").addEventListener("click", () => line.again());
setInterval(draw, 1000); // what counts down does so also while the line is quiet
draw();
