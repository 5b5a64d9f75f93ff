// One operation: the form of its parameters, what it does as it runs, and its runs so far.
import { h, fill, panel, link, at, badge, elapsed, button, failed, problem, isOver, calm, icon, tone } from "./dom.js";
import { get, post, onEvent } from "./api.js";
import { parameterForm } from "./form.js";
import { confirmed } from "./keys.js";
import { logPanel } from "./log.js";
import { liveRuns, OF_ONE } from "./runs_table.js";
import { resultOf } from "./result.js";
import { hooks } from "./node.js";
import { language } from "./operations.js";
import { code } from "./code.js";

// What declares no parameters takes any.
const ANY = [{ name: "arguments", type: "mapping", required: false, default: null, description: "it declares no parameters, and takes any" }];

// A run as it goes, below the form: status, result, log. Gives a function that ends it.
function follow(holder, id, page) {
  const over = new AbortController(), signal = over.signal;
  const head = h("div", { class: "row", role: "status" }), body = h("div", { class: "view" }), log = logPanel(id, signal, { title: "Output" });
  async function load() {
    const run = await get("runs/" + encodeURIComponent(id), {}, signal);
    const result = resultOf(run.result) || resultOf((run.tasks || []).find(t => t.result)?.result);
    fill(head, badge(run.status), h("span", {}, elapsed(run)), link(at("runs", id), "Open the run"), isOver(run.status) ? null
      : button("Cancel", () => post(`runs/${encodeURIComponent(id)}/cancel`).catch(failed), { kind: "danger", reason: page.act() }));
    const message = run.message || (run.tasks || []).map(t => t.message).find(Boolean);
    fill(body, message && isOver(run.status) ? h("div", { class: tone(run.status) === "bad" ? "problem" : "note" }, tone(run.status) === "bad" ? icon("failed") : null, h("pre", {}, message)) : null,
      result ? panel("Result", {}, result) : null);
  }
  const again = calm(() => load().catch(failed), 200);
  onEvent(e => { if (e.run_id === id && e.event !== "log") again(); }, signal);
  fill(holder, panel("This run", { class: "this-run" }, h("div", { class: "pad view" }, head, body)), log.element);
  load().catch(failed);
  return () => { over.abort(); again.stop(); };
}

export async function draw(root, { name, signal, page, search }) {
  const path = "operations/" + encodeURIComponent(name), operation = await get(path, {}, signal);
  page.title(operation.name);
  // "Run it again" brings the parameters of an earlier run along.
  const earlier = search.get("as") ? await get("runs/" + encodeURIComponent(search.get("as")), {}, signal) : null;
  const reason = page.act(), form = parameterForm(operation.parameters || ANY), trouble = h("div", { "aria-live": "assertive" });
  const output = h("div", { class: "view" }), runs = h("div");
  if (earlier) form.set(operation.parameters ? earlier.parameters || {} : { arguments: earlier.parameters });
  let end = () => {};
  signal.addEventListener("abort", () => end());
  async function run(dry) {
    fill(trouble);
    let parameters;
    try { parameters = form.values(); } catch { return; }
    if (!operation.parameters) parameters = parameters.arguments || {};
    if (operation.confirm && !dry && !await confirmed(typeof operation.confirm === "string" ? operation.confirm : `Run ${operation.name}?`,
      { detail: `It runs on target ${page.status.target}, and asks to be confirmed.` })) return;
    try {
      const { id } = await post(path + "/runs", { parameters, ...(operation.confirm && !dry ? { confirm: true } : {}), ...(dry ? { dry_run: true } : {}) });
      end();
      end = follow(output, id, page);
    } catch (error) {
      if (!form.blame(error)) fill(trouble, problem(error));
    }
  }
  const body = h("form", { class: "pad", novalidate: true, onsubmit: async e => { e.preventDefault(); submit.disabled = true; try { await run(false); } finally { submit.disabled = Boolean(reason); } } },
    form.element, trouble);
  const submit = h("button", { type: "submit", class: "primary", disabled: Boolean(reason), title: reason }, "Run");
  body.append(h("div", { class: "row" }, submit, button("Dry run", () => run(true), { reason }), reason ? h("span", { class: "soft" }, reason) : null));
  const folder = operation.name.split("/").slice(0, -1).join("/");
  fill(root, h("div", { class: "view-head" }, h("div", {}, h("p", { class: "crumb" }, link("/operations", "Operations"), folder ? ` / ${folder.replaceAll("/", " / ")}` : null),
    h("h1", {}, operation.name.split("/").pop(), language(operation.language)),
    h("p", { class: "facts" }, operation.path ? h("span", { class: "mono" }, operation.path) : null, operation.transaction === false ? h("span", {}, "without a transaction") : null,
      operation.targets && operation.targets.length ? h("span", {}, "targets: " + operation.targets.join(", ")) : null, operation.confirm ? h("span", { class: "tag" }, "asks before it runs") : null))),
  operation.description ? h("p", { class: "about" }, operation.description) : null,
  panel("Run it", { class: "form-panel" }, body), output, panel("Runs so far", {}, runs), hooks(operation.hooks),
  operation.source_code ? panel("Code", {}, code(operation.source_code, operation.language)) : null);
  await liveRuns(runs, { kind: "operation", name: operation.name }, { signal, columns: OF_ONE, none: "It has never run.", caption: "Runs of this operation" });
}
