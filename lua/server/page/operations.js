// The operations, by folder.
import { h, fill, link, at, badge, time, count, empty, calm, failed } from "./dom.js";
import { get, onEvent } from "./api.js";

const LANGUAGES = { sql: "SQL", python: "Python", lua: "Lua" };
export const language = name => h("span", { class: "tag" }, LANGUAGES[name] || name);

export async function draw(root, { signal, page }) {
  page.title("Operations");
  const find = h("input", { type: "search", placeholder: "Find an operation: press /", "aria-label": "Find an operation", autocomplete: "off", oninput: () => show() });
  const holder = h("div", { class: "panel" }), told = h("span", { class: "soft", role: "status" });
  let all = [];
  function row(one) {
    return h("li", {}, h("div", { class: "grow" }, h("div", { class: "row" }, link(at("operations", one.name), h("strong", {}, one.name.split("/").pop())), language(one.language),
      one.confirm ? h("span", { class: "tag", title: "It asks before it runs" }, "confirm") : null), one.description ? h("p", { class: "soft clamp" }, one.description) : null),
    h("div", { class: "row last" }, one.last_run ? [badge(one.last_run.status), link(at("runs", one.last_run.id), time(one.last_run.started_at || one.last_run.created_at))] : h("span", { class: "soft" }, "never run")));
  }
  function show() {
    const asked = find.value.trim().toLowerCase();
    const listed = all.filter(o => !asked || `${o.name} ${o.description || ""}`.toLowerCase().includes(asked));
    const folders = new Map();
    for (const one of listed) {
      const folder = one.name.split("/").slice(0, -1).join("/");
      folders.set(folder, [...(folders.get(folder) || []), one]);
    }
    told.textContent = count(listed.length, "operation");
    fill(holder, [...folders].sort((a, b) => a[0] < b[0] ? -1 : 1).map(([folder, list]) => [h("h2", { class: "group" }, folder ? folder + "/" : "operations/"), h("ul", { class: "rows" }, list.map(row))]),
      listed.length ? null : (all.length ? empty("No operation is called that.")
        : empty("No operations yet: put a script into ", h("code", {}, "operations/"), ", in SQL, Python or Lua. See ", h("code", {}, "dex-lua help operations"), ".")));
  }
  const load = async () => { all = (await get("operations", {}, signal)).items; show(); };
  fill(root, h("div", { class: "view-head" }, h("h1", {}, "Operations")), h("div", { class: "row filter" }, find, told), holder);
  await load();
  const again = calm(() => load().catch(failed), 1000);
  onEvent(e => { if (e.event === "run") again(); }, signal);
  signal.addEventListener("abort", again.stop);
}
