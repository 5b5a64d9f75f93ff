// Making elements, and the small words that every page shares: names, numbers, times, statuses.

// h("a", {href: "/"}, "text", element, null, [more, of, them]). Keys: on* are listeners, class and data-* as they are,
// true is an empty attribute, false and null none.
export function h(name, attributes, ...inside) {
  const made = document.createElement(name);
  for (const key in attributes || {}) {
    const value = attributes[key];
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (key === "style") Object.assign(made.style, value);
    else made.setAttribute(key, value === true ? "" : value);
  }
  add(made, inside);
  return made;
}

function add(parent, inside) {
  for (const one of inside) {
    if (one === null || one === undefined || one === false) continue;
    if (Array.isArray(one)) add(parent, one);
    else parent.append(one);
  }
}

export function svg(name, attributes, ...inside) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const key in attributes || {}) if (attributes[key] !== null) made.setAttribute(key, attributes[key]);
  add(made, inside);
  return made;
}

// Draws anew what an element holds. What had the focus and is there again has it still: pages are drawn anew whenever
// something happens, and that must not take the keyboard out of anybody's hands.
export function fill(parent, ...inside) {
  const had = document.activeElement, within = had !== parent && parent.contains(had);
  parent.textContent = "";
  add(parent, inside);
  if (within && !had.isConnected) [...parent.querySelectorAll(had.tagName)].find(e => !e.disabled && e.textContent === had.textContent
    && ["href", "aria-label", "id"].every(name => e.getAttribute(name) === had.getAttribute(name)))?.focus({ preventScroll: true });
  return parent;
}

// Words --------------------------------------------------------------------------------------------------------

export const count = (n, one, many) => `${number(n)} ${n === 1 ? one : many || one + "s"}`;
const grouped = new Intl.NumberFormat("en");
export const number = n => n === null || n === undefined ? "" : grouped.format(n);

// Seconds as people say them: 850 ms, 12.3 s, 4 m 10 s, 2 h 5 m.
export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "";
  if (seconds < 0.00005) return "0 ms";
  if (seconds < 0.9995) return `${seconds < 0.01 ? (seconds * 1000).toFixed(1) : Math.round(seconds * 1000)} ms`;
  if (seconds < 59.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 3600) return `${Math.floor(whole / 60)} m ${whole % 60} s`;
  if (whole < 86400) return `${Math.floor(whole / 3600)} h ${Math.floor(whole % 3600 / 60)} m`;
  return `${Math.floor(whole / 86400)} d ${Math.floor(whole % 86400 / 3600)} h`;
}

// The server's clock may differ from the viewer's: what is still running is measured by the server's.
let skew = 0;
export const setServerTime = now => { skew = millis(now) - Date.now(); };
export const serverNow = () => Date.now() + skew;

// Milliseconds of a time as the server writes it: ISO 8601, or microseconds since the epoch.
export function millis(at) {
  if (at === null || at === undefined) return null;
  return typeof at === "number" ? at / 1000 : Date.parse(at);
}

const sameDay = (a, b) => a.toDateString() === b.toDateString();
const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const short = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
const long = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric", hour: "2-digit",
  minute: "2-digit" });

// A <time> in the viewer's zone; UTC on hover.
export function time(at, { relative = false } = {}) {
  const ms = millis(at);
  if (ms === null || Number.isNaN(ms)) return h("span", { class: "soft" }, "–");
  const date = new Date(ms), now = new Date(serverNow()), utc = date.toISOString();
  const text = sameDay(date, now) ? clock.format(date)
    : date.getFullYear() === now.getFullYear() ? short.format(date) : long.format(date);
  const made = h("time", { datetime: utc, title: utc.replace("T", " ").replace("Z", " UTC") }, text);
  if (relative) made.append(h("span", { class: "soft" }, " · " + distance(ms)));
  return made;
}

export function distance(ms) {
  const seconds = (ms - serverNow()) / 1000, size = Math.abs(seconds);
  const text = size < 60 ? `${Math.round(size)} s` : size < 3600 ? `${Math.round(size / 60)} min`
    : size < 86400 ? `${Math.round(size / 3600)} h` : `${Math.round(size / 86400)} d`;
  return seconds >= 0 ? "in " + text : text + " ago";
}

// How long something has taken; what still runs is counted on by tick().
export function elapsed(one) {
  const from = millis(one.started_at), to = millis(one.ended_at);
  if (from === null) return h("span", { class: "num" }, one.duration ? duration(one.duration) : "");
  if (to !== null) return h("span", { class: "num" }, duration((to - from) / 1000));
  return h("span", { class: "num", "data-since": from }, duration((serverNow() - from) / 1000));
}

setInterval(() => {
  for (const one of document.querySelectorAll("[data-since]"))
    one.textContent = duration(Math.max(0, (serverNow() - Number(one.dataset.since)) / 1000));
}, 1000);

// Statuses -----------------------------------------------------------------------------------------------------

// A status differs by colour, by shape and by word. The shape is drawn in a box of 12.
const SHAPES = {
  success: ["ok", "M2.5 6.5 5 9l4.5-6"],
  warn: ["warn", "M6 2v5M6 9.4v.2"],
  failed: ["bad", "M3 3l6 6M9 3l-6 6"],
  timed_out: ["bad", "M6 2.5V6l2.5 2"],
  upstream_failed: ["dim", "M6 10V3M3 6l3-3 3 3"],
  partial: ["warn", "M2 6h8"],
  running: ["run", "M6 1.5a4.5 4.5 0 1 1-4.5 4.5"],
  retrying: ["warn", "M9.5 4A4.2 4.2 0 1 0 10 7M9.8 1.5V4H7.3"],
  queued: ["dim", "M3 6h.2M6 6h.2M9 6h.2"],
  waiting: ["dim", "M3 6h.2M6 6h.2M9 6h.2"],
  skipped: ["dim", "M3 2.5 6.5 6 3 9.5M6.5 2.5 10 6 6.5 9.5"],
  cancelled: ["dim", "M3 9 9 3"],
};

export const tone = status => (SHAPES[status] || ["dim"])[0];
export const words = status => (status || "never run").replace(/_/g, " ");
export const isOver = status => !["queued", "running", "waiting", "retrying"].includes(status);

export function icon(status) {
  const [kind, path] = SHAPES[status] || ["dim", "M3 6h6"];
  return svg("svg", { class: `icon t-${kind} s-${status}`, viewBox: "0 0 12 12", width: 12, height: 12, "aria-hidden": "true" },
    svg("path", { d: path }));
}

export const badge = status => h("span", { class: `badge t-${tone(status)}` }, icon(status), words(status));

// A status where only its sign has room: the word is there for readers and on hover.
export const sign = status => h("span", { class: "sign", title: words(status) }, icon(status),
  h("span", { class: "hidden" }, words(status)));

// Parts ----------------------------------------------------------------------------------------------------------

export const link = (path, ...inside) => h("a", { href: path }, ...inside);
export const runLink = run => link("/runs/" + encodeURIComponent(run.id), run.name || run.id.slice(0, 8));
// What a task or a node is called among others: build/model.shop.orders is orders, and tests lose the hash of theirs.
export function shortName(id) {
  const name = id.replace(/^.*\//, ""), parts = name.split(".");
  return parts.length < 3 ? name : parts.slice(2).join(".").replace(/\.[0-9a-f]{10}$/, "");
}
export const at = (kind, name) => `/${kind}/${encodeURIComponent(name)}`;

// A table of few rows. `columns`: {head, cell(row), class}; `caption` is read, not seen.
export function table(caption, columns, rows, empty = "Nothing yet.") {
  if (!rows.length) return h("p", { class: "empty" }, empty);
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
    h("table", {}, h("caption", { class: "hidden" }, caption),
      h("thead", {}, h("tr", {}, columns.map(c => h("th", { scope: "col", class: c.class }, c.head)))),
      h("tbody", {}, rows.map(row => h("tr", {}, columns.map(c => h("td", { class: c.class }, c.cell(row))))))));
}

export const panel = (title, { tools, id, level = "h2", class: kind } = {}, ...inside) =>
  h("section", { class: "panel" + (kind ? " " + kind : ""), id },
    h("div", { class: "panel-head" }, h(level, {}, title), tools && h("div", { class: "tools" }, tools)), ...inside);

export function problem(error) {
  return h("div", { class: "problem", role: "alert" }, icon("failed"),
    h("div", {}, h("strong", {}, error.message || String(error)), error.place && h("p", { class: "mono" }, error.place),
      error.hint && h("p", {}, error.hint)));
}

export const empty = (...inside) => h("p", { class: "empty" }, ...inside);

export function button(text, run, { kind, reason, disabled, label } = {}) {
  const off = Boolean(reason || disabled);
  const made = h("button", { type: "button", class: kind, disabled: off, title: reason, "aria-label": label,
    "aria-description": reason }, text);
  // While what it does is under way, it cannot be pressed twice.
  if (run) made.addEventListener("click", async () => {
    if (made.disabled) return;
    made.disabled = true;
    try { await run(made); } finally { made.disabled = off; }
  });
  return made;
}

// Says something at the bottom of the page, for a while; errors until they are put away.
export function say(text, error) {
  const holder = document.getElementById("messages");
  const one = h("div", { class: "message" + (error ? " t-bad" : "") }, h("span", {}, text, error && error.hint
    && h("small", {}, error.hint)), h("button", { type: "button", class: "plain", "aria-label": "Put away",
    onclick: () => one.remove() }, "×"));
  holder.append(one);
  if (!error) setTimeout(() => one.remove(), 6000);
}

export const failed = error => { if (error.name !== "AbortError") say(error.message || String(error), error); };

// At most one call in `wait` milliseconds, the last one surely.
export function calm(fn, wait) {
  let timer = null, last = 0;
  const calmed = () => {
    if (timer !== null) return;
    timer = setTimeout(() => { timer = null; last = Date.now(); fn(); }, Math.max(0, last + wait - Date.now()));
  };
  calmed.stop = () => { clearTimeout(timer); timer = null; };
  return calmed;
}
