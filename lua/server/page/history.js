// What the history knows: durations over time, what is slow, and what fails.
import { h, fill, panel, link, at, badge, time, table, duration, number, failed, shortName } from "./dom.js";
import { get, none } from "./api.js";
import { durations } from "./plots.js";

const spell = s => h("span", { class: "num" }, duration(s));
const share = (value, most) => { const bar = h("i", { class: "share", "aria-hidden": "true" }); bar.style.width = Math.max(2, 100 * value / (most || 1)) + "%"; return h("span", { class: "share-track" }, bar); };

// What took longest altogether: where time may be saved.
function slowTable(kind, items) {
  const most = Math.max(...items.map(r => r.total), 0);
  return table(kind === "hook" ? "Slowest hooks" : "Slowest nodes", [
    { head: kind === "hook" ? "Hook" : "Node", class: "grow", cell: r => kind === "hook" ? h("span", { class: "mono" }, r.name)
      : link(at("nodes", r.name), h("span", { class: "mono" }, shortName(r.name))) },
    { head: "Altogether", class: "bar-cell", cell: r => [spell(r.total), share(r.total, most)] },
    { head: "Mean", class: "num", cell: r => spell(r.mean) }, { head: "Longest", class: "num", cell: r => spell(r.longest) },
    { head: "Runs", class: "num", cell: r => h("span", {}, number(r.count), r.failed ? h("span", { class: "t-bad" }, ` · ${number(r.failed)} failed`) : null) },
  ], items, "Nothing has run yet.");
}

export async function draw(root, { signal, page, search }) {
  page.title("History");
  const [nodes, hooks, bad, flows] = await Promise.all([get("history/slowest", { kind: "node", limit: 20 }, signal), get("history/slowest", { kind: "hook", limit: 20 }, signal),
    get("history/failures", { limit: 50 }, signal), get("flows", {}, signal).catch(none)]);
  const plot = h("div", { class: "pad" });
  const options = [...flows.items.map(f => ["flow:" + f.name, `flow ${f.name}`]), ...nodes.items.map(n => ["node:" + n.name, `${n.name.split(".")[0]} ${shortName(n.name)}`])];
  const asked = search.get("of");
  if (asked && !options.some(([v]) => v === asked)) options.unshift([asked, asked.replace(/^node:/, "").replace(":", " ")]);
  const choose = h("select", { "aria-label": "Durations of", onchange: () => {
    page.go("/history?of=" + encodeURIComponent(choose.value), { replace: true });
    show().catch(failed);
  } }, options.map(([v, text]) => h("option", { value: v, selected: v === asked }, text)));
  async function show() {
    if (!choose.value) return fill(plot, durations([]));
    const [, kind, name] = /^(\w+):(.*)$/.exec(choose.value);
    const { items } = await get("history/durations", { [kind]: name, limit: 120 }, signal);
    fill(plot, durations(items, { label: `Durations of ${name}`, height: 190 }));
  }
  fill(root, h("div", { class: "view-head" }, h("h1", {}, "History")), panel("Durations over time", { tools: options.length ? choose : null }, plot),
    h("div", { class: "halves" }, panel("Slowest nodes", {}, slowTable("node", nodes.items)), panel("Slowest hooks", {}, slowTable("hook", hooks.items))),
    panel("Failures", {}, table("Failures", [{ head: "Status", cell: f => badge(f.status || "failed") },
      { head: "What", cell: f => [f.node_id ? link(at("nodes", f.node_id), shortName(f.node_id)) : h("span", {}, f.task),
        h("span", { class: "soft" }, ` ${f.run_kind} ${f.run_name || ""}`)] },
      { head: "Message", class: "grow", cell: f => h("span", { class: "clamp mono" }, f.message || "") },
      { head: "When", cell: f => link(at("runs", f.run_id), time(f.ended_at || f.started_at)) }], bad.items, "Nothing has failed.")));
  await show();
}
