// The log of a run, as it comes. Lines are fetched by number, so none is lost and none comes twice.
import { h, fill, panel, millis, calm, failed } from "./dom.js";
import { get, onEvent } from "./api.js";
import { virtual } from "./virtual.js";

const LEVELS = ["debug", "info", "warn", "error"];
const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3 });
const MOST = 100000; // lines that are kept in the page
const LONG = 2000;   // characters of a line that are shown; Save has them all
const shorten = text => text.length > LONG ? text.slice(0, LONG) + " …" : text;

export function logPanel(id, signal, { title = "Log" } = {}) {
  let lines = [], shown = [], after = null, loading = false, again = false;
  const level = h("select", { "aria-label": "Least level", onchange: filter }, LEVELS.map(l => h("option", { value: l, selected: l === "debug" },
    l === "debug" ? "every level" : l + " and above")));
  const task = h("input", { type: "search", placeholder: "Filter", "aria-label": "Filter the log", autocomplete: "off", oninput: filter });
  const list = virtual({ height: 20, label: "Log", role: "log", rowRole: "presentation", class: "log", follow: true, render: i => {
    const line = shown[i], ms = millis(line.at);
    return h("div", { class: `log-line l-${line.level}` },
      h("time", { datetime: new Date(ms).toISOString(), title: new Date(ms).toISOString().replace("T", " ").replace("Z", " UTC") }, clock.format(ms)),
      h("span", { class: "level" }, line.level === "info" ? "" : line.level), line.task ? h("span", { class: "log-task" }, line.task.replace(/^.*\//, "")) : null,
      h("span", { class: "log-text", title: shorten(line.text) }, shorten(line.text)));
  } });
  list.element.removeAttribute("aria-live");
  const none = h("p", { class: "empty" }, "No lines.");
  const wanted = line => LEVELS.indexOf(line.level) >= LEVELS.indexOf(level.value) &&
    (!task.value || `${line.task || ""} ${line.text}`.toLowerCase().includes(task.value.toLowerCase()));

  function grown(only) {
    list.element.style.height = shown.length * 20 + 8 + "px";
    list.set(shown.length, { grown: only });
  }
  function filter() {
    shown = lines.filter(wanted);
    grown(false);
    none.hidden = lines.length > 0;
  }
  async function load() {
    if (loading) { again = true; return; }
    loading = true;
    try {
      do {
        again = false;
        const { items } = await get(`runs/${encodeURIComponent(id)}/log`, { after, limit: 1000 }, signal);
        if (!items.length) continue;
        after = items[items.length - 1].id;
        lines.push(...items);
        if (lines.length > MOST) { lines = lines.slice(-MOST); filter(); }
        const fresh = items.filter(wanted);
        shown.push(...fresh);
        if (fresh.length) grown(true);
        none.hidden = true;
        if (items.length === 1000) again = true;
      } while (again);
    } finally { loading = false; }
  }
  const soon = calm(() => load().catch(failed), 150);
  onEvent(e => { if (e.run_id === id && (e.event === "log" || e.event === "run")) soon(); }, signal);
  signal.addEventListener("abort", soon.stop);
  const holder = h("div", {}, none, list.element);
  load().catch(failed);
  const text = () => lines.map(l => `${new Date(millis(l.at)).toISOString()} ${l.level} ${l.task || ""} ${l.text}`).join("\n") + "\n";
  const save = h("button", { type: "button", class: "plain", onclick: () => {
    const url = URL.createObjectURL(new Blob([text()], { type: "text/plain" }));
    h("a", { href: url, download: `${id}.log` }).click();
    URL.revokeObjectURL(url);
  } }, "Save");
  return { element: panel(title, { tools: [task, level, save], class: "log-panel" }, holder), only(name) { task.value = name; filter(); },
    clear() { fill(holder); } };
}
