// @ts-check
// Making and changing elements. All text goes in as text: nothing here, or anywhere, takes HTML.

/** @typedef {Node | string | null | undefined | false} Child */

/**
 * @param {string} name
 * @param {Record<string, string | boolean | EventListener>} [attributes] `onclick` and the like add a listener
 * @param {...Child} children
 * @returns {HTMLElement}
 */
export function el(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === "function") made.addEventListener(key.slice(2), value);
    else if (value === true) made.setAttribute(key, "");
    else if (value !== false) made.setAttribute(key, value);
  }
  for (const child of children) if (child) made.append(child);
  return made;
}

/** @param {string} id @returns {any} the element of the page with this id */
export function byId(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has no #${id}`);
  return found;
}

/** Sets an element's text; what does not change is not touched, so that a selection in it stays.
 * @param {Element} element @param {string} text */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** @param {Element} element @param {string} name @param {string} value */
export function mark(element, name, value) {
  if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

/**
 * Makes the children of `parent` be those of `items`, in that order. Elements are kept by key, so that what has the
 * focus keeps it.
 * @template T
 * @param {Element} parent
 * @param {T[]} items
 * @param {(item: T) => string} keyOf
 * @param {(item: T) => HTMLElement} make
 * @param {(element: HTMLElement, item: T) => void} update
 */
export function reconcile(parent, items, keyOf, make, update) {
  const focused = document.activeElement;
  const wanted = new Set(items.map(keyOf));
  // What is gone goes first: what stays is then mostly in its order, and is not moved.
  for (const child of Array.from(parent.children)) if (!wanted.has(keys.get(child) ?? "")) child.remove();
  const known = new Map(Array.from(parent.children, (child) => [keys.get(child), /** @type {HTMLElement} */ (child)]));
  let place = parent.firstElementChild;
  for (const item of items) {
    const key = keyOf(item);
    if (!wanted.delete(key)) continue; // told twice
    const element = known.get(key) ?? make(item);
    keys.set(element, key);
    if (place === element) place = place.nextElementSibling;
    else parent.insertBefore(element, place);
    update(element, item);
  }
  if (focused instanceof HTMLElement && focused !== document.activeElement && parent.contains(focused)) {
    focused.focus({ preventScroll: true });
  }
}

/** @type {WeakMap<Element, string>} */
const keys = new WeakMap();
