// The first page: what runs now, the flows with their last runs and next times, and what ended lately.
import { h, fill, panel, link, at, badge, sign, time, millis, distance, button, failed, calm, number, elapsed, runLink, empty, svg, problem }
  from "./dom.js";
import { get, none, post, onEvent } from "./api.js";
import { strip } from "./plots.js";
import { progress, runsTable } from "./runs_table.js";

const SHOWN = [["models", "model"], ["sources", "source"], ["seeds", "seed"], ["snapshots", "snapshot"], ["tests", "test"],
  ["operations", "operation"], ["flows", "flow"]];

function counts(found) {
  return h("ul", { class: "counts", "aria-label": "What the project holds" }, SHOWN.filter(([name]) => found[name] || name === "models")
    .map(([name, kind]) => h("li", {}, h("a", { href: name === "operations" || name === "flows" ? "/" + name
      : `/lineage?select=${encodeURIComponent("resource_type:" + kind)}` },
    h("b", { class: `num k-${kind}` }, number(found[name])), h("span", {}, found[name] === 1 ? kind : name)))));
}

function runningList(runs, page) {
  if (!runs.length) return empty("Nothing runs at the moment.");
  return h("ul", { class: "cards" }, runs.map(run => h("li", { class: "run-card" },
    h("div", { class: "row" }, sign(run.status), h("strong", {}, runLink(run)), h("span", { class: "soft" }, run.kind), h("span", { class: "push" }, elapsed(run))),
    h("div", { class: "row" }, progress(run), h("span", { class: "soft push" }, [run.trigger, run.by].filter(Boolean).join(" · ")),
      button("Cancel", () => post(`runs/${encodeURIComponent(run.id)}/cancel`).catch(failed),
        { reason: page.act(), label: `Cancel ${run.name || run.id}` })))));
}

export function nextTime(schedule) {
  if (!schedule) return h("span", { class: "soft" }, "by hand");
  if (schedule.paused) return h("span", { class: "paused" }, svg("svg", { class: "icon", viewBox: "0 0 12 12", width: 12, height: 12, "aria-hidden": "true" },
    svg("path", { d: "M4 2.5v7M8 2.5v7" })), "paused", schedule.paused_by ? h("span", { class: "soft" }, ` by ${schedule.paused_by}`) : null);
  const next = schedule.next && schedule.next[0];
  return next ? h("span", {}, time(next), h("span", { class: "soft" }, " · " + distance(millis(next)))) : h("span", { class: "soft" }, "never");
}

export function flowRows(flows) {
  return h("ul", { class: "flow-list" }, flows.map(flow => {
    const last = (flow.last_runs || [])[0];
    return h("li", { class: "flow-row" },
      h("div", { class: "flow-name" }, link(at("flows", flow.name), h("strong", {}, flow.name)),
        flow.description && h("p", { class: "soft clamp" }, flow.description)),
      h("div", {}, strip(flow.last_runs || [], { label: `Last runs of ${flow.name}` })),
      h("div", {}, last ? badge(last.status) : badge(null)),
      h("div", { class: "flow-next" }, h("span", { class: "soft cap" }, "Next"), nextTime(flow.schedule)));
  }));
}

export async function draw(root, { signal, page }) {
  page.title("Home");
  const load = () => Promise.all([get("status", {}, signal), get("flows", {}, signal).catch(none), get("runs", { limit: 12 }, signal)]);
  const running = h("div"), flows = h("div"), recent = h("div"), top = h("div");
  fill(root, h("div", { class: "view-head" }, h("div", {}, h("h1", {}, page.status.project || "dex-lua"), top)),
    panel("Running now", {}, running),
    panel("Flows", { tools: link("/flows", "All flows") }, flows),
    panel("Last runs", { tools: link("/runs", "All runs") }, recent));
  function show([status, listed, runs]) {
    page.status = status;
    fill(top, status.counts ? counts({ ...status.counts, flows: listed.items.length }) : null,
      status.project_problem ? problem({ ...listed.error, message: "The project cannot be loaded: " + status.project_problem }) : null);
    fill(running, runningList(status.running || [], page));
    fill(flows, listed.items.length ? flowRows(listed.items) : listed.error ? empty("Which flows there are is not known.") : empty("No flows yet. A flow runs models, operations and scripts in order: see ",
      h("code", {}, "dex-lua help flows"), "."));
    fill(recent, runsTable(runs.items.filter(r => r.ended_at), { caption: "Last runs", none: "Nothing has run yet." }));
  }
  show(await load());
  const again = calm(() => load().then(show).catch(failed), 1000);
  // Tasks come in great numbers, and change no more than how far a run has got.
  const further = calm(() => get("status", {}, signal).then(status => fill(running, runningList(status.running, page))).catch(failed), 2000);
  onEvent(e => {
    if (e.event === "run" || e.event === "schedule") again();
    else if (e.event === "task") further();
  }, signal);
  signal.addEventListener("abort", () => { again.stop(); further.stop(); });
}
