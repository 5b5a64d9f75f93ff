// All runs, newest first, by kind, status and name; older ones come as they are asked for.
import { h, fill, button, calm, failed, count } from "./dom.js";
import { get, onEvent } from "./api.js";
import { runsTable } from "./runs_table.js";

const KINDS = ["flow", "operation", "command"];
const STATUSES = ["queued", "running", "success", "partial", "failed", "cancelled", "timed_out"];
const PAGE = 50;

export async function draw(root, { signal, page, search }) {
  page.title("Runs");
  const choice = (label, values, value) => h("select", { "aria-label": label, onchange: apply }, h("option", { value: "" }, label),
    values.map(v => h("option", { value: v, selected: v === value }, v.replace(/_/g, " "))));
  const kind = choice("Every kind", KINDS, search.get("kind")), status = choice("Every status", STATUSES, search.get("status"));
  const name = h("input", { type: "search", placeholder: "Name: press /", "aria-label": "Name of the flow, operation or command",
    value: search.get("name") || "", autocomplete: "off", onchange: apply });
  const holder = h("div"), told = h("span", { class: "soft", role: "status" });
  let runs = [], next = null;
  const more = button("Older runs", async () => {
    try { await load(next); } catch (error) { failed(error); }
  });

  async function load(before, limit = PAGE) {
    const answer = await get("runs", { kind: kind.value, status: status.value, name: name.value.trim(), limit, before }, signal);
    runs = before ? [...runs, ...answer.items] : answer.items;
    next = answer.next;
    const filtered = kind.value || status.value || name.value;
    fill(holder, runsTable(runs, { none: filtered ? "No run is like that." : "Nothing has run yet." }));
    more.hidden = !next;
    told.textContent = count(runs.length, "run") + (next ? " so far" : "");
  }
  async function apply() {
    const values = new URLSearchParams();
    for (const [key, field] of [["kind", kind], ["status", status], ["name", name]]) if (field.value.trim()) values.set(key, field.value.trim());
    page.go("/runs" + (values.size ? "?" + values : ""), { replace: true });
    try { await load(); } catch (error) { failed(error); }
  }
  fill(root, h("div", { class: "view-head" }, h("h1", {}, "Runs")),
    h("form", { class: "row filter", role: "search", onsubmit: e => { e.preventDefault(); apply(); } }, kind, status, name, told),
    h("div", { class: "panel" }, holder), h("div", { class: "row" }, more));
  await load();
  // As many as are shown are fetched again, at most once in a second.
  const again = calm(() => load(undefined, Math.min(Math.max(runs.length, PAGE), 500)).catch(failed), 1000);
  onEvent(e => { if (e.event === "run") again(); }, signal);
  signal.addEventListener("abort", again.stop);
}
