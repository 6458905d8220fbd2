// Elements and numbers as text. All text goes in as text nodes: what people and models wrote is never markup.

export const find = id => document.getElementById(id);

// Attributes, and custom properties ("--at"), which are set one by one: the page's policy refuses style attributes.
export function make(name, attributes = {}, ...inside) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("--")) made.style.setProperty(key, value);
    else made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...inside.filter(one => one !== null && one !== undefined));
  return made;
}

export const badge = letter => make("b", { class: `badge ${letter.toLowerCase()}` }, letter);

export const count = number => Number(number).toLocaleString("en");

// Never "100 %" of what is less.
export const percent = share => (share < 1 && share >= 0.995 ? (share >= 0.9995 ? "over 99.9 %" : `${(100 * share).toFixed(1)} %`) : `${Math.round(100 * share)} %`);

export const spent = seconds => (seconds >= 10 ? `${seconds.toFixed(1)} s` : seconds >= 1 ? `${seconds.toFixed(2)} s` : seconds > 0 && seconds < 0.001 ? "< 1 ms" : `${Math.round(1000 * seconds)} ms`);

// 75.5 -> "1:15.5"; whole seconds without a tenth.
export function clock(seconds) {
  const tenths = Math.round(10 * seconds), rest = (tenths % 600) / 10, minutes = Math.floor(tenths / 600);
  const last = (Number.isInteger(rest) ? String(rest) : rest.toFixed(1)).padStart(Number.isInteger(rest) ? 2 : 4, "0");
  if (minutes < 60) return `${minutes}:${last}`;
  return `${Math.floor(minutes / 60)}:${String(minutes % 60).padStart(2, "0")}:${last}`;
}

export function size(bytes) {
  if (bytes < 1e3) return `${bytes} bytes`;
  return bytes < 1e6 ? `${Math.round(bytes / 1e3)} kB` : bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(2)} GB`;
}
