// @ts-check
// Server-sent events out of pieces of text, as HTML's section 9.2.6 reads them.

const LONGEST = 32 << 20; // characters of one event: 1,000 routes are 0.4 million

/** @param {(name: string, data: string) => void} hear @returns {(text: string) => void} takes the next piece */
export function frames(hear) {
  let rest = "";
  let name = "";
  /** @type {string[]} */
  let data = [];

  /** @param {string} line */
  const take = (line) => {
    if (line === "") {
      if (data.length) hear(name || "message", data.join("\n"));
      name = "";
      data = [];
      return;
    }
    const colon = line.indexOf(":");
    if (colon === 0) return; // a comment
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "event") name = value;
    else if (field === "data") data.push(value);
  };

  return (text) => {
    const lines = (rest + text).split(/\r\n|\n|\r(?!$)/);
    rest = lines.pop() ?? "";
    if (rest.length > LONGEST) throw new Error("an event without an end");
    lines.forEach(take);
  };
}
