// @ts-check
// The connections to the upstreams: pools for HTTP, channels for gRPC.

import { byId, el, say } from "./dom.js";
import { number } from "./format.js";
import { column, numbers, table } from "./table.js";

/** @typedef {import("./model.js").Model} Model */

/** @param {Model} model @returns {() => void} */
export function pools(model) {
  const rows = table(byId("pool-list"), {
    caption: "Connections to the upstreams",
    key: (row) => row.name,
    search: (row) => `${row.name} ${row.protocol} ${row.urls}`,
    empty: "The policy file has no upstreams.",
    columns: [
      {
        label: "Upstream",
        sort: (/** @type {any} */ row) => row.name,
        make: (cell) => cell.append(el("span", { class: "name" }), el("span", { class: "faint" })),
        show: (cell, row) => {
          say(cell.children[0], row.name);
          say(cell.children[1], `${row.protocol} ${row.urls}`);
        },
      },
      numbers("Busy", (row) => row.active ?? null, number),
      numbers("Idle", (row) => row.idle ?? null, number),
      numbers("Connecting", (row) => row.connecting ?? null, number),
      numbers("Waiting", (row) => row.waiting ?? null, number),
      column("At most", (row) => (row.max ? number(row.max) : row.active === undefined ? "–" : "no limit")),
      column("Channels", (row) => (row.channels?.length ? row.channels.map((/** @type {any} */ one) => (typeof one === "string" ? one : one.state)).join(", ").toLowerCase().replaceAll("_", " ") : "–")),
    ],
  });
  return () =>
    rows.show(
      (model.state?.upstreams ?? []).map((/** @type {any} */ one) => ({ ...one, urls: (one.urls ?? []).join(" "), ...model.upstreams.get(one.name) })),
    );
}
