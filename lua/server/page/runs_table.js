// Runs as rows of a table: on the first page, among the runs, with a flow, an operation or a node.
import { h, fill, badge, tone, table, time, elapsed, runLink, link, count, calm, failed } from "./dom.js";
import { get, onEvent } from "./api.js";

// `text`: what stands beside the bar, instead of the numbers.
export function progress(run, text) {
  const tasks = run.tasks || {}, total = tasks.total || 0;
  if (!total) return "";
  const done = Object.entries(tasks).filter(([k]) => !["total", "waiting", "queued", "running", "retrying"].includes(k))
    .reduce((sum, [, n]) => sum + n, 0);
  const bad = (tasks.failed || 0) + (tasks.timed_out || 0), tones = { ok: 0, warn: 0, bad: 0, run: 0 };
  for (const [status, n] of Object.entries(tasks)) if (tone(status) in tones) tones[tone(status)] += n;
  const bar = h("span", { class: "stack", role: "img", "aria-label": `${done} of ${total} tasks are over` },
    Object.entries(tones).map(([name, n]) => n ? h("i", { class: "t-" + name, style: { width: `${100 * n / total}%` } }) : null));
  if (text) return h("span", { class: "progress" }, bar, h("span", { class: "soft" }, text));
  return h("span", { class: "progress" }, bar, h("span", { class: "num soft" }, `${done}/${total}`),
    bad ? h("span", { class: "t-bad" }, `${bad} failed`) : null);
}

const kinds = { flow: "flow", operation: "operation", command: "command" };
export const runColumns = {
  status: { head: "Status", cell: run => badge(run.status) },
  name: { head: "Run", class: "grow", cell: run => h("span", {}, runLink(run),
    h("span", { class: "soft" }, " " + (kinds[run.kind] || run.kind || ""))) },
  trigger: { head: "By", class: "wide-only", cell: run => h("span", { class: "soft" },
    [run.trigger, run.by].filter(Boolean).join(" · ")) },
  tasks: { head: "Tasks", cell: progress },
  started: { head: "Started", cell: run => time(run.started_at || run.created_at) },
  when: { head: "Started", class: "grow", cell: run => link("/runs/" + encodeURIComponent(run.id), time(run.started_at || run.created_at)) },
  duration: { head: "Took", class: "num", cell: elapsed },
};
export const OF_ONE = ["status", "when", "tasks", "trigger", "duration"]; // where all are runs of the same
const ALL = ["status", "name", "tasks", "trigger", "started", "duration"];

export const runsTable = (runs, { caption = "Runs", columns = ALL, none = "No runs yet." } = {}) =>
  table(caption, columns.map(c => runColumns[c]), runs, none);

// Keeps the runs that `values` ask for in `holder`: fetched again when one of them changes, at most once a second.
export async function liveRuns(holder, values, { signal, none, caption, columns, concerns = () => true, after = () => {} }) {
  const load = async () => {
    const { items } = await get("runs", { limit: 10, ...values }, signal);
    fill(holder, runsTable(items, { none, caption, columns }));
    after(items);
  };
  const again = calm(() => load().catch(failed), 1000);
  onEvent(e => { if (e.event === "run" && concerns(e)) again(); }, signal);
  signal.addEventListener("abort", again.stop);
  await load();
}

export const tally = tasks => Object.entries(tasks || {}).filter(([k, n]) => k !== "total" && n)
  .map(([k, n]) => count(n, k.replace(/_/g, " "), k.replace(/_/g, " "))).join(", ");
