// @ts-check
// A table of what is known now: searched, sorted, a page at a time, and the same rows again each second.
// Roles stand on the elements because the phone's layout takes the table's display away, and its meaning with it.

import { el, mark, reconcile, say } from "./dom.js";

const PAGE = 15; // rows at a time
const PHONE = 6; // each of them a card

/**
 * @template T
 * @typedef {object} Column
 * @property {string} label
 * @property {(cell: HTMLElement, row: T) => void} show
 * @property {(row: T) => number | string | null} [sort] what the column is sorted by
 * @property {boolean} [number] stands to the right, and is sorted from the most
 * @property {(cell: HTMLElement, row: () => T) => void} [make] once for each cell
 */

/**
 * @template T
 * @typedef {object} Told
 * @property {string} caption
 * @property {Column<T>[]} columns the first one names the row
 * @property {(row: T) => string} key
 * @property {(row: T) => string} [search] the text that a search looks in
 * @property {string} empty what is said where there is nothing
 * @property {(row: T) => boolean} [urgent] comes first where there are more rows than a page has
 */

/** @template T @param {HTMLElement} parent @param {Told<T>} told @returns {{show: (rows: T[]) => void}} */
export function table(parent, told) {
  const page = matchMedia("(max-width: 700px)").matches ? PHONE : PAGE;
  let shown = page;
  let wanted = "";
  /** @type {{column: Column<T>, down: boolean} | null} */
  let order = null;
  /** @type {T[]} */
  let all = [];
  /** @type {WeakMap<HTMLElement, T>} */
  const rowOf = new WeakMap();

  const search = /** @type {HTMLInputElement} */ (
    el("input", { type: "search", placeholder: "Search", "aria-label": `Search: ${told.caption}` })
  );
  search.addEventListener("input", () => {
    wanted = search.value.toLowerCase();
    shown = page;
    draw();
  });
  const body = el("tbody", { role: "rowgroup" });
  const headers = told.columns.map((column) => header(column));
  const whole = el(
    "table",
    { role: "table" },
    el("caption", { class: "visually-hidden" }, told.caption),
    el("thead", { role: "rowgroup" }, el("tr", { role: "row" }, ...headers)),
    body,
  );
  const empty = el("p", { class: "empty" });
  const count = el("p", { class: "faint count" });
  const more = el("button", { type: "button", onclick: () => ((shown += page), draw()) });
  const foot = el("div", { class: "foot" }, count, more);
  parent.append(told.search ? search : "", whole, empty, foot);
  draw();

  /** @param {Column<T>} column */
  function header(column) {
    const cell = el("th", { scope: "col", role: "columnheader", class: column.number ? "num" : "" });
    if (!column.sort) {
      cell.append(column.label || el("span", { class: "visually-hidden" }, "Actions"));
      return cell;
    }
    const sortBy = () => {
      const down = order?.column === column ? !order.down : Boolean(column.number);
      order = { column, down };
      for (const other of headers) other.removeAttribute("aria-sort");
      mark(cell, "aria-sort", down ? "descending" : "ascending");
      draw();
    };
    cell.append(el("button", { type: "button", class: "sort", onclick: sortBy }, column.label));
    return cell;
  }

  /** @param {T} row */
  function make(row) {
    const line = el("tr", { role: "row" });
    rowOf.set(line, row);
    told.columns.forEach((column, place) => {
      const attributes = { class: column.number ? "num" : "", "data-label": column.label };
      const cell = place
        ? el("td", { role: "cell", ...attributes })
        : el("th", { scope: "row", role: "rowheader", ...attributes });
      column.make?.(cell, () => /** @type {T} */ (rowOf.get(line)));
      line.append(cell);
    });
    return line;
  }

  function chosen() {
    const found = wanted && told.search ? all.filter((row) => told.search?.(row).toLowerCase().includes(wanted)) : [...all];
    if (order) {
      const { sort } = order.column;
      const sign = order.down ? -1 : 1;
      found.sort((a, b) => sign * compared(sort?.(a) ?? null, sort?.(b) ?? null));
    } else if (told.urgent && found.length > shown) {
      // Else in the file's order, so that no button moves under the mouse.
      found.sort((a, b) => Number(told.urgent?.(b)) - Number(told.urgent?.(a)));
    }
    return found;
  }

  function draw() {
    const found = chosen();
    whole.hidden = !found.length;
    empty.hidden = found.length > 0;
    say(empty, all.length && !found.length ? `Nothing of this matches “${search.value}”.` : told.empty);
    search.hidden = all.length <= 5 && !wanted;
    foot.hidden = found.length <= shown;
    say(count, `${Math.min(shown, found.length)} of ${found.length}`);
    say(more, `Show ${Math.min(page, found.length - shown)} more`);
    reconcile(body, found.slice(0, shown), told.key, make, (line, row) => {
      rowOf.set(line, row);
      told.columns.forEach((column, place) => column.show(/** @type {HTMLElement} */ (line.children[place]), row));
    });
  }

  return {
    show(rows) {
      all = rows;
      draw();
    },
  };
}

/** What is not known comes first, upwards. @param {number | string | null} a @param {number | string | null} b */
function compared(a, b) {
  if (a === b) return 0;
  if (a === null) return -1;
  if (b === null) return 1;
  return a < b ? -1 : 1;
}

/** A column that is one text. @template T @param {string} label @param {(row: T) => string} text @param {Partial<Column<T>>} [more] @returns {Column<T>} */
export const column = (label, text, more = {}) => ({ label, show: (cell, row) => say(cell, text(row)), ...more });

/** A column of numbers. @template T @param {string} label @param {(row: T) => number | null} value @param {(value: number | null) => string} written @returns {Column<T>} */
export const numbers = (label, value, written) => ({
  label,
  number: true,
  sort: value,
  show: (cell, row) => say(cell, written(value(row))),
});
