// One flow: its graph, how it may be started, when it runs next, how it went.
import { h, fill, panel, link, at, button, failed, problem, time, table, distance, millis, calm, say } from "./dom.js";
import { get, post, onEvent } from "./api.js";
import { Graph, graphTools } from "./graph.js";
import { parameterForm } from "./form.js";
import { durations, strip } from "./plots.js";
import { liveRuns, OF_ONE } from "./runs_table.js";
import { nextTime } from "./home.js";

const words = when => !when || when === "success" ? "when those succeeded" : when === "failed" ? "when one failed" : when === "always" ? "whatever happened"
  : `when ${typeof when === "object" ? when.expression : when}`;

// The parameters are asked for in a dialog; without any it starts at once.
function start(flow, page) {
  return new Promise(resolve => {
    const form = parameterForm(flow.parameters || [], "flow"), trouble = h("div", { "aria-live": "assertive" });
    const go = h("button", { type: "submit", class: "primary" }, "Start");
    const dialog = h("dialog", { "aria-labelledby": "start-title" }, h("h2", { id: "start-title" }, `Start ${flow.name}`), h("form", { novalidate: true, onsubmit: async e => {
      e.preventDefault();
      fill(trouble);
      let parameters;
      try { parameters = form.values(); } catch { return; }
      go.disabled = true;
      try {
        const { id } = await post(`flows/${encodeURIComponent(flow.name)}/runs`, { parameters });
        dialog.close();
        page.go(at("runs", id));
      } catch (error) {
        if (!form.blame(error)) fill(trouble, problem(error));
      } finally { go.disabled = false; }
    } }, form.element, trouble, h("div", { class: "row end" }, button("Cancel", () => dialog.close()), go)));
    dialog.addEventListener("close", () => { dialog.remove(); resolve(); });
    document.body.append(dialog);
    dialog.showModal();
  });
}

function scheduleFacts(schedule) {
  if (!schedule) return h("p", { class: "pad soft" }, "It has no schedule: it is started by hand, or by another flow.");
  return h("div", { class: "pad" }, h("p", {}, h("strong", {}, schedule.text), schedule.time_zone && !schedule.text.includes(schedule.time_zone) ? h("span", { class: "soft" }, ` · ${schedule.time_zone}`) : null),
    schedule.paused ? h("p", {}, nextTime(schedule)) : h("ol", { class: "plain-list next-times", "aria-label": "Next times" },
      (schedule.next || []).map(one => h("li", {}, time(one), h("span", { class: "soft" }, " · " + distance(millis(one)))))));
}

export async function draw(root, { name, signal, page }) {
  const path = "flows/" + encodeURIComponent(name), host = h("div", { class: "graph medium" });
  const head = h("div"), schedule = h("div"), plot = h("div", { class: "pad" }), runs = h("div"), nodes = h("div");
  let flow = await get(path, {}, signal), follows = null;
  const tasks = new Map(); // of the newest run: name -> status
  page.title(flow.name);
  const graph = new Graph(host, { label: `The nodes of ${flow.name}; below as a table`, signal, open: node => { const to = target(flow.nodes.find(n => n.name === node.id)); if (to) page.go(to); } });
  host.append(graphTools(graph));
  const target = node => !node ? null : node.kind === "operation" && node.detail ? at("operations", node.detail) : node.kind === "flow" && node.detail ? at("flows", node.detail)
    : node.kind === "transformation" && /^\w+ [^-]/.test(node.detail) && !node.detail.includes(" --")
      ? `/lineage?select=${encodeURIComponent(node.detail.replace(/^\w+ /, ""))}` : null;

  async function toggle() {
    try {
      await post(path + (flow.schedule.paused ? "/resume" : "/pause"));
      say(flow.schedule.paused ? "The schedule goes on." : "The schedule is paused: nothing starts by itself.");
      await reload();
    } catch (error) { failed(error); }
  }
  function show() {
    const reason = page.act();
    fill(head, h("div", { class: "view-head" }, h("div", {}, h("p", { class: "crumb" }, link("/flows", "Flows")), h("h1", {}, flow.name, strip(flow.last_runs || [])),
      h("p", { class: "facts" }, h("span", {}, "next: ", nextTime(flow.schedule)), flow.file ? h("span", { class: "mono" }, flow.file) : null)),
    h("div", { class: "row" }, button("Start", () => start(flow, page), { kind: "primary", reason }),
      flow.schedule ? button(flow.schedule.paused ? "Resume schedule" : "Pause schedule", toggle, { reason }) : null)));
    fill(schedule, scheduleFacts(flow.schedule));
    fill(plot, durations(flow.last_runs || [], { label: `Durations of ${flow.name}` }));
  }
  function showNodes() {
    graph.set(flow.nodes.map(n => ({ id: n.name, name: n.name, label: `${n.name}: ${n.detail || n.kind}`, type: { transformation: "model", operation: "operation", flow: "flow", script: "seed", wait: "source" }[n.kind] || n.kind,
      status: null })), flow.nodes.flatMap(n => (n.needs || []).map(need => [need, n.name])));
    fill(nodes, table("Nodes of this flow", [
      { head: "Node", cell: n => h("strong", {}, n.name) }, { head: "Kind", cell: n => h("span", { class: "tag" }, n.kind) },
      { head: "What", class: "grow", cell: n => { const to = target(n), text = h("code", {}, typeof n.detail === "object" && n.detail ? JSON.stringify(n.detail) : n.detail || "");
        return h("span", {}, to ? link(to, text) : text, n.description ? h("p", { class: "soft" }, n.description) : null); } },
      { head: "After", cell: n => (n.needs || []).join(", ") }, { head: "Runs", cell: n => h("span", { class: "soft" }, n.needs && n.needs.length ? words(n.when) : "first") }], flow.nodes));
    follow();
  }
  // What the newest run has come to is seen in the graph while it goes.
  async function follow() {
    const last = (flow.last_runs || [])[0];
    if (!last) return;
    follows = last.id;
    const run = await get("runs/" + encodeURIComponent(last.id), {}, signal);
    tasks.clear();
    for (const task of run.tasks || []) tasks.set(task.name, task.status);
    for (const node of flow.nodes) stand(node.name);
  }
  // A node that expands to many tasks (models/model.shop.a) stands as the worst of them, while one goes on as running.
  const RANK = ["running", "retrying", "failed", "timed_out", "cancelled", "upstream_failed", "warn", "queued", "waiting", "success", "skipped"];
  function stand(name) {
    let status = tasks.get(name);
    for (const [task, one] of tasks) if (task.startsWith(name + "/") && (!status || RANK.indexOf(one) < RANK.indexOf(status))) status = one;
    graph.setStatus(name, status || null);
  }
  async function reload() { flow = await get(path, {}, signal); show(); const last = (flow.last_runs || [])[0]; if (last && last.id !== follows) await follow(); }
  fill(root, head, flow.description ? h("p", { class: "about" }, flow.description) : null, panel("Graph", {}, host, nodes),
    h("div", { class: "halves" }, panel("Schedule", {}, schedule), panel("Durations", {}, plot)), panel("Runs", {}, runs));
  show();
  showNodes();
  await liveRuns(runs, { kind: "flow", name: flow.name, limit: 20 }, { signal, columns: OF_ONE, none: "It has never run.", caption: `Runs of ${flow.name}` });
  const again = calm(() => reload().catch(failed), 1000);
  onEvent(e => {
    if (e.event === "task" && e.run_id === follows && e.status) {
      tasks.set(e.task, e.status);
      stand(e.task.split("/")[0]);
    }
    if (e.event === "run" || e.event === "schedule") again();
  }, signal);
  signal.addEventListener("abort", again.stop);
}
