// @ts-check
// Questions to the person. `<dialog>` keeps the focus inside and gives it back.

import { byId, say } from "./dom.js";

/** @param {HTMLDialogElement} dialog @returns {Promise<boolean>} was it answered, rather than cancelled */
function answered(dialog) {
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "ok"), { once: true });
  });
}

for (const id of ["ask-token", "confirm"]) {
  byId(id).querySelector("[value=cancel]").addEventListener("click", () => byId(id).close("cancel"));
}

/** @param {string} why @returns {Promise<string>} empty: none was given */
export async function askToken(why) {
  say(byId("ask-token-why"), why);
  const input = byId("token");
  input.value = "";
  const given = (await answered(byId("ask-token"))) ? input.value.trim() : "";
  input.value = "";
  return given;
}

/** @param {string} title @param {string} text @param {string} yes what the button says */
export function confirmed(title, text, yes) {
  say(byId("confirm-title"), title);
  say(byId("confirm-text"), text);
  say(byId("confirm-yes"), yes);
  return answered(byId("confirm"));
}
