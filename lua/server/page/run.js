// One run: how it stands, its tasks over time or as a graph, its result and its log; cancel and re-run.
import { h, fill, panel, badge, time, elapsed, button, failed, calm, link, at, icon, isOver, say, tone, millis, empty } from "./dom.js";
import { get, post, onEvent } from "./api.js";
import { timeline, hooksOfRun } from "./timeline.js";
import { logPanel } from "./log.js";
import { Graph, graphTools } from "./graph.js";
import { progress, runsTable, tally } from "./runs_table.js";
import { resultOf } from "./result.js";
import { confirmed } from "./keys.js";

const TASK_KEYS = ["status", "started_at", "ended_at", "duration", "attempt", "message", "rows", "response", "result", "label", "kind", "node_id", "needs"];
const MOST_DRAWN = 3000; // tasks in the graph of a run

const AGAIN = new Set(["failed", "timed_out", "cancelled", "upstream_failed"]); // tasks with which a run may go on

export const parameters = values => {
  const pairs = Object.entries(values || {});
  return pairs.length ? h("dl", { class: "pairs" }, pairs.map(([k, v]) => [h("dt", {}, k),
    h("dd", {}, h("code", {}, typeof v === "object" && v !== null ? JSON.stringify(v) : String(v)))])) : null;
};

function rerunMenu(run, tasks, page) {
  if (run.kind === "operation") return [link(`${at("operations", run.name)}?as=${encodeURIComponent(run.id)}`, "Run it again …")];
  if (run.kind !== "flow") return [];
  const reason = page.act(), id = encodeURIComponent(run.id);
  const rerun = body => async () => {
    try { page.go(at("runs", (await post(`runs/${id}/rerun`, body)).id)); } catch (error) { failed(error); }
  };
  const bad = tasks.some(t => AGAIN.has(t.status)) || ["failed", "partial", "cancelled", "timed_out"].includes(run.status);
  return [bad ? button("Re-run from failure", rerun({ from: "failure" }), { kind: "primary", reason }) : null, button("Re-run all", rerun({ from: "all" }), { reason })];
}

function headOf(run, tasks, page) {
  const actions = h("div", { class: "row" });
  if (!isOver(run.status)) actions.append(button(run.cancel_requested ? "Cancelling …" : "Cancel", async () => {
    if (!await confirmed(`Cancel ${run.name || "this run"}?`, { detail: "What runs is ended, what waits is not started. What committed stays.", yes: "Cancel the run", danger: true })) return;
    try { await post(`runs/${encodeURIComponent(run.id)}/cancel`); say("Asked to cancel: it ends its queries first."); } catch (error) { failed(error); }
  }, { kind: "danger", reason: page.act(), disabled: run.cancel_requested }));
  else actions.append(...rerunMenu(run, tasks, page).filter(Boolean));
  const home = run.kind === "flow" ? link(at("flows", run.name), run.name) : run.kind === "operation" ? link(at("operations", run.name), run.name) : null;
  return h("div", { class: "view-head" }, h("div", {},
    h("p", { class: "crumb" }, link("/runs", "Runs"), " / ", run.kind, home ? [" ", home] : null),
    h("h1", {}, run.name || run.command || run.id, badge(run.status)),
    h("p", { class: "facts" }, h("span", {}, "started ", time(run.started_at || run.created_at)), h("span", {}, isOver(run.status) ? "took " : "for ", h("b", {}, elapsed(run))),
      h("span", {}, [run.trigger, run.by].filter(Boolean).join(" by ")), run.scheduled_for ? h("span", {}, "due ", time(run.scheduled_for)) : null,
      run.rerun_of ? h("span", {}, "re-run of ", link(at("runs", run.rerun_of), run.rerun_of.slice(0, 8))) : null,
      run.parent_id ? h("span", {}, "part of ", link(at("runs", run.parent_id), run.parent_id.slice(0, 8))) : null,
      run.command && run.command !== run.name ? h("code", {}, run.command) : null), parameters(run.parameters)), actions);
}

export async function draw(root, { name: id, signal, page }) {
  const path = "runs/" + encodeURIComponent(id);
  let run = await get(path, {}, signal), byName = new Map(), tasks = [];
  const head = h("div"), told = h("div"), result = h("div"), children = h("div"), hooks = h("div"), pictures = h("div", { class: "graph", hidden: true }), summary = h("span", { role: "status" });
  const bars = timeline({ actions: task => taskActions(task) });
  let graph = null, said = null;
  const log = logPanel(id, signal);
  const tabs = ["Timeline", "Graph"].map(name => h("button", { type: "button", "aria-pressed": String(name === "Timeline"), onclick: () => view(name) }, name));

  function taskActions(task) {
    const reason = page.act(), of = `${path}/tasks/${encodeURIComponent(task.name)}`;
    const mark = status => async () => {
      try { await post(of + "/mark", { status }); say(`${task.label || task.name} is marked ${status}.`); reload(); } catch (error) { failed(error); }
    };
    const from = async () => {
      try { page.go(at("runs", (await post(path + "/rerun", { from: task.name })).id)); } catch (error) { failed(error); }
    };
    return [button("Log", () => log.only(String(task.name).replace(/^.*\//, ""))), run.kind === "flow" && isOver(run.status) ? button("Re-run from here", from, { reason }) : null,
      run.kind === "flow" && tone(task.status) !== "ok" && isOver(run.status) ? button("Mark as done", mark("success"), { reason }) : null];
  }
  function drawGraph() {
    if (tasks.length > MOST_DRAWN) return fill(pictures, empty(`A graph of ${tasks.length} tasks says nothing: the timeline does.`));
    if (!graph) {
      graph = new Graph(pictures, { label: "Tasks; the timeline names the same", signal, open: node => { view("Timeline"); bars.open(node.id); } });
      pictures.append(graphTools(graph));
    }
    graph.set(tasks.map(t => ({ id: t.name, name: t.label || t.name, type: t.kind === "node" || t.node_id ? String(t.node_id || "model").split(".")[0] : t.kind || "task", status: t.status })),
      tasks.flatMap(t => (t.needs || []).map(need => [need, t.name])));
  }
  function view(name) {
    tabs.forEach(tab => tab.setAttribute("aria-pressed", String(tab.textContent === name)));
    pictures.hidden = name !== "Graph";
    bars.element.hidden = name === "Graph";
    if (name === "Graph") drawGraph();
  }
  function stand() {
    const counted = { total: tasks.length };
    for (const task of tasks) counted[task.status] = (counted[task.status] || 0) + 1;
    fill(summary, progress({ tasks: counted }, tally(counted)));
  }
  function showHead() {
    // Only when it would say something else: a button must not be replaced below a finger.
    const says = JSON.stringify([run, tasks.some(t => AGAIN.has(t.status))], (key, value) => key === "tasks" || key === "counts" ? undefined : value);
    if (says !== said) fill(head, headOf(run, tasks, page));
    said = says;
    fill(told, run.message ? h("div", { class: tone(run.status) === "bad" ? "problem" : "note" }, tone(run.status) === "bad" ? icon("failed") : null, h("pre", {}, run.message)) : null);
    fill(hooks, run.hooks && run.hooks.length ? panel("Hooks of the run", {}, hooksOfRun(run.hooks)) : null);
    const parts = run.kind === "operation" ? resultOf(run.result) || resultOf(tasks.find(t => t.result)?.result) : null;
    fill(result, parts ? panel("Result", { class: "result-panel" }, parts) : null);
  }
  function take(next) {
    run = next;
    // Those that started first stand first; what has not started keeps the order of the plan.
    const start = task => millis(task.started_at) ?? Infinity;
    tasks = (run.tasks || []).map((task, i) => [task, start(task), i]).sort((a, b) => a[1] === b[1] ? a[2] - b[2] : a[1] - b[1]).map(one => one[0]);
    byName = new Map(tasks.map(t => [t.name, t]));
    page.title(`${run.name || run.command || "Run"}: ${run.status}`);
    stand();
    showHead();
    bars.set(run, tasks);
    if (!pictures.hidden) drawGraph();
  }
  const reload = calm(() => get(path, {}, signal).then(take).catch(failed), 700);
  async function loadChildren() {
    if (run.kind !== "flow") return;
    const { items } = await get("runs", { parent: id, limit: 50 }, signal);
    fill(children, items.length ? panel("Runs of its sub-flows", {}, runsTable(items)) : null);
  }
  // What has changed is drawn once a frame, however many events come.
  const changed = new Set();
  let frame = null;
  const soon = () => {
    if (frame === null) frame = requestAnimationFrame(() => {
      frame = null;
      for (const task of changed) { bars.touch(task); graph?.setStatus(task.name, task.status); }
      changed.clear();
      bars.grow();
      stand();
    });
  };
  onEvent(e => {
    if (e.run_id !== id) return;
    if (e.event === "run" || e.event === "tasks" || e.event === "cancel") { reload(); return; }
    const task = byName.get(e.task);
    if (!task) { if (e.event === "task") reload(); return; }
    if (e.event === "task") {
      for (const key of TASK_KEYS) if (e[key] !== undefined) task[key] = e[key];
      const from = millis(task.started_at);
      // Phases within a task's event are counted in microseconds from its start.
      if (e.phases && from !== null) task.phases = e.phases.map(([phase, offset, took]) =>
        ({ phase, started_at: from * 1000 + offset, duration: took / 1e6 }));
      if (e.hooks) task.hooks = e.hooks;
      if (e.status === "running") { task.ended_at = null; task.message = null; }
    }
    else if (e.event === "phase") (task.phases = task.phases || []).push(e);
    else if (e.event === "hook") {
      const hooks = task.hooks = task.hooks || [], i = hooks.findIndex(k => k.phase === e.phase && k.position === e.position);
      i >= 0 ? Object.assign(hooks[i], e) : hooks.push(e);
    } else return;
    changed.add(task);
    soon();
  }, signal);
  const ticking = setInterval(bars.grow, 1000);
  signal.addEventListener("abort", () => { clearInterval(ticking); reload.stop(); cancelAnimationFrame(frame); });

  const body = panel("Tasks", { tools: [summary, ...tabs] }, bars.element, pictures);
  fill(root, head, told, result, body, hooks, children, log.element);
  take(run);
  root.addEventListener("shown", () => bars.set(run, tasks));
  await loadChildren();
}
