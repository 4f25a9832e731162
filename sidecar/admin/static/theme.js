// Light or dark as the person chose it, before anything is painted: a plain script in the head, not a module.
"use strict";

(() => {
  const KEY = "sidecar-theme";
  const root = document.documentElement;

  /** Storage may be switched off: the choice then lasts as long as the page. */
  const kept = () => {
    try {
      return localStorage.getItem(KEY) ?? "auto";
    } catch {
      return "auto";
    }
  };

  const keep = (/** @type {string} */ theme) => {
    try {
      localStorage.setItem(KEY, theme);
    } catch {
      // nowhere to keep it
    }
  };

  const show = (/** @type {string} */ theme) => {
    if (theme === "light" || theme === "dark") root.dataset.theme = theme;
    else delete root.dataset.theme;
    root.dispatchEvent(new Event("theme"));
  };

  show(kept());
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => root.dispatchEvent(new Event("theme")));
  addEventListener("DOMContentLoaded", () => {
    const choice = /** @type {HTMLSelectElement} */ (document.getElementById("theme"));
    choice.value = root.dataset.theme ?? "auto";
    choice.addEventListener("change", () => {
      keep(choice.value);
      show(choice.value);
    });
  });
})();
