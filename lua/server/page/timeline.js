// The tasks of a run over time: a bar for each, in it the phases of a node and, where they are wide enough, its hooks.
// Only the rows that are seen exist; a row opens the details of its task.
import { h, fill, sign, badge, icon, elapsed, duration, millis, serverNow, table, time, words, tone, isOver, number, link, at, count, shortName }
  from "./dom.js";
import { virtual } from "./virtual.js";
import { resultOf } from "./result.js";
import { place } from "./node.js";

const AFTER_FAILURE = new Set(["failed", "timed_out"]);
const nameOf = task => task.label || task.name;

// What makes a bar: its own span and those of phases and hooks within it, in shares of the whole time.
function bar(task, from, span, now) {
  const start = millis(task.started_at);
  if (start === null) return null;
  const end = millis(task.ended_at) ?? (isOver(task.status) ? start : now);
  const share = ms => Math.min(100, Math.max(0, 100 * (ms - from) / span));
  const put = (element, a, b) => {
    element.style.left = share(a) + "%";
    element.style.width = `max(2px, ${share(b) - share(a)}%)`;
    return element;
  };
  const parts = [put(h("i", { class: `bar t-${tone(task.status)} s-${task.status}` }), start, end)];
  for (const phase of task.phases || []) {
    const a = millis(phase.started_at);
    if (a === null || !phase.duration) continue;
    parts.push(put(h("i", { class: `part p-${phase.phase}`, title: `${phase.phase}: ${duration(phase.duration)}` }), a, a + phase.duration * 1000));
  }
  for (const hook of task.hooks || []) {
    const a = millis(hook.started_at);
    if (a === null || !hook.duration) continue;
    parts.push(put(h("i", { class: "hook" + (AFTER_FAILURE.has(hook.status) ? " t-bad" : ""),
      title: `${hook.phase} ${hook.name || "hook " + hook.position}: ${duration(hook.duration)}` }), a, a + hook.duration * 1000));
  }
  return parts;
}

function axis(span) {
  const step = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600, 86400]
    .find(s => span / 1000 / s <= 6) || 86400 * Math.ceil(span / 1000 / 86400 / 6);
  const marks = [];
  for (let s = 0; s * 1000 <= span * 0.96; s += step) { // the last one must have room
    const mark = h("span", {}, s === 0 ? "0" : duration(Math.round(s * 100) / 100).replace(".0 ", " "));
    mark.style.left = 100 * s * 1000 / span + "%";
    marks.push(mark);
  }
  return h("div", { class: "axis", "aria-hidden": "true" }, h("div", { class: "axis-track" }, marks));
}

// A message that says no more than how it went.
const isPlain = task => task.message && tone(task.status) === "ok" && !task.message.includes("\n");

export function details(task, { actions } = {}) {
  const phases = (task.phases || []).filter(p => p.duration !== null);
  const hooks = task.hooks || [];
  const results = resultOf(task.result);
  return h("div", { class: "task-details" },
    h("div", { class: "row" }, badge(task.status), h("strong", { class: "mono" }, nameOf(task)), h("span", { class: "soft" }, task.kind || ""),
      task.attempt > 1 ? h("span", { class: "tag" }, `attempt ${task.attempt}`) : null, h("span", { class: "push row" }, actions)),
    h("p", { class: "facts" }, h("span", {}, "started ", time(task.started_at)), task.started_at ? h("span", {}, isOver(task.status) ? "took " : "for ", elapsed(task)) : null,
      task.rows !== null && task.rows !== undefined ? h("span", {}, count(task.rows, "row")) : null, task.response || isPlain(task) ? h("span", { class: "mono" }, task.response || task.message) : null,
      task.node_id ? link(at("nodes", task.node_id), "Open the node") : null,
      task.needs && task.needs.length ? h("span", {}, "after " + task.needs.slice(0, 8).map(shortName).join(", ") + (task.needs.length > 8 ? " …" : "")) : null),
    task.message && !isPlain(task) ? h("div", { class: AFTER_FAILURE.has(task.status) ? "problem" : "note" }, AFTER_FAILURE.has(task.status) ? icon("failed") : null, h("pre", {}, task.message)) : null,
    results ? h("div", { class: "panel" }, results) : null,
    phases.length ? table("Phases", [{ head: "Phase", cell: p => h("span", { class: "row" }, h("i", { class: `key p-${p.phase}`, "aria-hidden": "true" }), p.phase) },
      { head: "Started", cell: p => time(p.started_at) }, { head: "Took", class: "num", cell: p => duration(p.duration) }], phases) : null,
    hooks.length ? hooksOfRun(hooks) : null,
    task.attempts && task.attempts.length > 1 ? table("Attempts", [{ head: "Attempt", class: "num", cell: a => a.attempt }, { head: "Status", cell: a => badge(a.status) },
      { head: "Message", class: "grow", cell: a => h("span", { class: "clamp mono" }, a.message || "") }, { head: "Took", class: "num", cell: a => elapsed(a) }], task.attempts) : null);
}

export const hooksOfRun = hooks => table("Hooks", [{ head: "Status", cell: k => sign(k.status) }, { head: "Phase", cell: k => h("span", { class: "mono" }, k.phase) },
  { head: "Hook", class: "grow", cell: k => h("span", {}, k.name || `hook ${k.position}`, k.message ? h("small", { class: "soft" }, " " + k.message) : null) },
  { head: "Declared", cell: k => place(k.file, k.line) }, { head: "Took", class: "num", cell: k => duration(k.duration) }], hooks);

// Options: open(task) is told what was chosen. Gives {element, set(run, tasks), touch(task)}.
export function timeline({ actions }) {
  let run = null, tasks = [], shown = [], open = null, from = 0, span = 1, drawn = 0;
  const find = h("input", { type: "search", placeholder: "Find a task: press /", "aria-label": "Find a task", autocomplete: "off", oninput: () => filter() });
  const which = h("select", { "aria-label": "Which tasks", onchange: () => filter() }, [["", "Every status"], ["bad", "Failed"], ["run", "Running"], ["ok", "Succeeded"],
    ["warn", "Warnings"], ["dim", "Not run"]].map(([v, text]) => h("option", { value: v }, text)));
  const scale = h("div", {}), holder = h("div", { class: "details-holder", "aria-live": "off" }), told = h("span", { class: "soft", role: "status" });
  const list = virtual({ height: 28, label: "Tasks over time", class: "timeline", render: i => {
    const task = shown[i], chosen = open === task.name;
    const button = h("button", { type: "button", class: "link", "data-key": task.name, "aria-expanded": String(chosen), title: nameOf(task), onclick: () => toggle(task) },
      sign(task.status), h("span", { class: "mono" }, nameOf(task)));
    return h("div", { class: "task-row" + (chosen ? " chosen" : "") }, button,
      h("div", { class: "track", "aria-hidden": "true" }, bar(task, from, span, serverNow())),
      h("span", { class: "took" }, task.started_at ? elapsed(task) : h("span", { class: "soft" }, words(task.status))));
  } });
  list.element.addEventListener("keydown", e => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[e.key], key = document.activeElement.dataset.key;
    if (!step || !key) return;
    const next = shown[shown.findIndex(t => t.name === key) + step];
    e.preventDefault();
    if (!next) return;
    list.reveal(shown.indexOf(next));
    list.row(shown.indexOf(next))?.querySelector("button").focus();
  });

  function toggle(task) {
    open = open === task.name ? null : task.name;
    show();
    list.set(shown.length);
    if (open) holder.scrollIntoView({ block: "nearest" });
  }
  function show() {
    const task = tasks.find(t => t.name === open);
    fill(holder, task ? details(task, { actions: actions(task) }) : null);
  }
  // The time that is shown: from the first start to the last end, or to now.
  function measure() {
    from = Math.min(millis(run.started_at) ?? Infinity, ...[millis(tasks.find(t => t.started_at)?.started_at)].filter(ms => ms !== null));
    let to = millis(run.ended_at);
    if (to === null) to = serverNow();
    for (const task of tasks) {
      const end = millis(task.ended_at), start = millis(task.started_at);
      if (end !== null && end > to) to = end;
      if (start !== null && start < from) from = start;
    }
    span = Math.max(to - from, 1);
    fill(scale, Number.isFinite(from) ? axis(span) : null);
  }
  function filter() {
    const asked = find.value.trim().toLowerCase();
    shown = tasks.filter(t => (!which.value || tone(t.status) === which.value) && (!asked || (nameOf(t) + " " + t.name).toLowerCase().includes(asked)));
    list.set(shown.length);
    list.element.style.height = Math.min(Math.max(shown.length, 1) * 28 + 2, 520) + "px";
    told.textContent = shown.length === tasks.length ? count(tasks.length, "task") : `${number(shown.length)} of ${count(tasks.length, "task")}`;
  }
  // While the run goes on, its bars grow.
  function grow() {
    if (!run || isOver(run.status) || Date.now() - drawn < 900) return;
    drawn = Date.now();
    measure();
    list.set(shown.length);
  }
  return {
    element: h("div", {}, h("div", { class: "row filter pad" }, find, which, told), scale, list.element, holder),
    set(nextRun, nextTasks) {
      run = nextRun;
      tasks = nextTasks;
      measure();
      filter();
      show();
    },
    touch(task) {
      const i = shown.indexOf(task);
      if (i >= 0) list.touch(i);
      if (open === task.name) show();
    },
    grow,
    open(name) { open = name; show(); list.set(shown.length); },
  };
}
