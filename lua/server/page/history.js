// What the history knows: durations over time, what is slow, and what fails.
import { h, fill, panel, link, at, badge, time, table, duration, number, failed } from "./dom.js";
import { get } from "./api.js";
import { durations } from "./plots.js";
import { place } from "./node.js";

const spell = s => h("span", { class: "num" }, duration(s));
const share = (value, most) => { const bar = h("i", { class: "share", "aria-hidden": "true" }); bar.style.width = Math.max(2, 100 * value / (most || 1)) + "%"; return h("span", { class: "share-track" }, bar); };
const mean = row => row.average ?? row.mean ?? row.duration ?? row.median;

function slowTable(kind, items) {
  const most = Math.max(...items.map(r => mean(r) || 0), 0);
  return table(kind === "hook" ? "Slowest hooks" : "Slowest nodes", [
    { head: kind === "hook" ? "Hook" : "Node", class: "grow", cell: r => kind === "hook" ? h("span", {}, h("strong", {}, r.name || "unnamed"), " ", place(r.file, r.line))
      : r.node_id ? link(at("nodes", r.node_id), r.label || r.name || r.node_id.split(".").slice(2).join(".")) : r.name },
    { head: "", class: "bar-cell", cell: r => share(mean(r) || 0, most) }, { head: "Mean", class: "num", cell: r => spell(mean(r)) },
    { head: "Longest", class: "num", cell: r => spell(r.longest ?? r.max ?? mean(r)) }, { head: "Runs", class: "num", cell: r => number(r.count ?? r.runs ?? "") }], items, "Nothing has run yet.");
}

export async function draw(root, { signal, page, search }) {
  page.title("History");
  const [nodes, hooks, bad, flows] = await Promise.all([get("history/slowest", { kind: "node", limit: 20 }, signal), get("history/slowest", { kind: "hook", limit: 20 }, signal),
    get("history/failures", { limit: 50 }, signal), get("flows", {}, signal)]);
  const plot = h("div", { class: "pad" });
  const options = [...flows.items.map(f => ["flow:" + f.name, `flow ${f.name}`]), ...nodes.items.filter(n => n.node_id).map(n => ["node:" + n.node_id, n.node_id])];
  const asked = search.get("of");
  if (asked && !options.some(([v]) => v === asked)) options.unshift([asked, asked.replace(/^node:/, "").replace(":", " ")]);
  const choose = h("select", { "aria-label": "Durations of", onchange: () => show().catch(failed) }, options.map(([v, text]) => h("option", { value: v, selected: v === asked }, text)));
  async function show() {
    if (!choose.value) return fill(plot, durations([]));
    const [, kind, name] = /^(\w+):(.*)$/.exec(choose.value);
    page.go("/history?of=" + encodeURIComponent(choose.value), { replace: true });
    const { items } = await get("history/durations", { [kind]: name, limit: 120 }, signal);
    fill(plot, durations(items, { label: `Durations of ${name}`, height: 190 }));
  }
  fill(root, h("div", { class: "view-head" }, h("h1", {}, "History")), panel("Durations over time", { tools: options.length ? choose : null }, plot),
    h("div", { class: "halves" }, panel("Slowest nodes", {}, slowTable("node", nodes.items)), panel("Slowest hooks", {}, slowTable("hook", hooks.items))),
    panel("Failures", {}, table("Failures", [{ head: "Status", cell: f => badge(f.status || "failed") },
      { head: "What", cell: f => f.node_id ? link(at("nodes", f.node_id), f.label || f.task || f.node_id) : h("span", {}, f.label || f.task || f.name) },
      { head: "Message", class: "grow", cell: f => h("span", { class: "clamp mono" }, f.message || "") },
      { head: "When", cell: f => f.run_id || f.id ? link(at("runs", f.run_id || f.id), time(f.ended_at || f.started_at || f.at)) : time(f.ended_at) }], bad.items, "Nothing has failed.")));
  await show();
}
