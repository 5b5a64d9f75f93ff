// One node: what it is, its SQL, columns, tests and hooks, a look at its rows, and how long it took lately.
import { h, fill, panel, link, at, badge, table, count, button, failed, problem, empty, calm, isOver } from "./dom.js";
import { get, post, onEvent } from "./api.js";
import { code, languageOf } from "./code.js";
import { durations } from "./plots.js";
import { kindOf, Graph, graphTools } from "./graph.js";
import { resultTable } from "./result.js";
import { pathOf } from "./lineage.js";

// Where something is declared.
export const place = (file, line) => file ? h("span", { class: "mono place" }, file + (line ? ":" + line : "")) : null;

function sql(node) {
  const kinds = [["Source", node.source_code], ["Compiled", node.compiled_code]].filter(k => k[1]);
  if (!kinds.length) return null;
  const fault = node.compile_error ? h("div", { class: "pad" }, problem({ message: node.compile_error })) : null;
  const holder = h("div"), tabs = kinds.map(([name, text]) => h("button", { type: "button", onclick: () => show(name, text) }, name));
  function show(name, text) {
    fill(holder, code(text, name === "Source" ? languageOf(node.file || "") : "sql", { label: `${name} code` }));
    tabs.forEach(tab => tab.setAttribute("aria-pressed", String(tab.textContent === name)));
  }
  show(...kinds[0]);
  const copy = button("Copy", async () => { await navigator.clipboard.writeText(holder.textContent); }, { kind: "plain" });
  return panel("Code", { tools: [tabs, copy] }, fault, holder);
}

const hookKind = { sql: "SQL", macro: "macro", lua: "Lua", function: "Lua" };
export function hooks(list) {
  if (!list || !list.length) return null;
  return panel("Hooks", {}, table("Hooks in the order in which they run", [
    { head: "Phase", cell: k => h("span", { class: "mono" }, k.phase) },
    { head: "#", class: "num", cell: k => k.position ?? "" },
    { head: "Hook", class: "grow", cell: k => h("span", {}, k.name ? h("strong", {}, k.name) : null, k.name && k.text ? " " : null,
      k.text ? h("code", { class: "clamp" }, k.text) : null, h("span", { class: "soft" }, " " + (hookKind[k.kind] || k.kind || ""))) },
    { head: "Declared", cell: k => place(k.file, k.line) },
  ], list));
}

// The columns as they are declared; those of the database stand in their place as soon as it has answered.
function columns(node, signal) {
  if (!["model", "seed", "snapshot", "source"].includes(node.type)) return null;
  const holder = h("div"), told = h("span", { class: "soft", role: "status" });
  const show = (list, text) => { fill(holder, columnTable(list, node.name)); fill(told, `${count(list.length, "column")}, ${text}`); };
  show(node.columns || [], "as declared");
  get(`nodes/${encodeURIComponent(node.id)}/columns`, {}, signal).then(answer => show(answer.items, "as the database has them"),
    error => { if (error.name !== "AbortError") fill(told, `as declared: ${error.message}`); });
  return panel("Columns", { tools: told }, holder);
}

function columnTable(list, model) {
  return table("Columns", [
    { head: "Name", cell: c => h("code", {}, c.name) }, { head: "Type", cell: c => h("span", { class: "soft mono" }, c.type || "") },
    { head: "Description", class: "grow", cell: c => c.description || "" },
    { head: "Tests", cell: c => (c.tests || []).map(id => link(at("nodes", id), h("span", { class: "tag" }, testName(id, model).replace(` ${c.name}`, "")))) },
  ], list, "No column is declared.");
}

// A test's name without the model's, which stands above.
const testName = (id, model) => id.startsWith("unit_test.") ? id.split(".").pop() : id.split(".")[2].replace(`_${model}_`, " ");

function tests(list, model) {
  if (!list || !list.length) return null;
  return panel("Tests", {}, h("ul", { class: "plain-list" }, list.map(id => h("li", {}, link(at("nodes", id), testName(id, model))))));
}

const near = (title, list) => list && list.length ? h("p", {}, h("span", { class: "soft" }, title + " "),
  list.map((one, i) => [i ? ", " : "", link(at("nodes", one.id || one), one.name || String(one).split(".").pop())])) : null;

// The nodes beside this one, as a small picture.
function beside(node, page, signal) {
  const ids = [...(node.parents || []), ...(node.children || [])];
  if (!ids.length) return null;
  const plain = one => typeof one === "string" ? { id: one, name: one.split(".").slice(2).join("."), type: one.split(".")[0] }
    : { type: one.id.split(".")[0], ...one, name: one.name || one.id };
  const self = { id: node.id, name: node.name, type: node.type };
  const parents = (node.parents || []).map(plain), children = (node.children || []).map(plain).filter(n => kindOf(n.type) !== "test");
  if (!parents.length && !children.length) return null;
  const host = h("div", { class: "graph small" });
  const graph = new Graph(host, { label: `What ${node.name} reads and what reads it; below as words`, signal,
    open: n => page.go(pathOf(n)) });
  host.append(graphTools(graph));
  graph.set([...parents, self, ...children], [...parents.map(p => [p.id, self.id]), ...children.map(c => [self.id, c.id])]);
  graph.choose(graph.find(self.id), { quiet: true });
  return panel("Neighbours", { tools: link(`/lineage?focus=${encodeURIComponent(node.id)}`, "In the lineage") }, host,
    h("div", { class: "pad" }, near("Reads", parents), near("Read by", children)));
}

function preview(node) {
  if (!["model", "seed", "snapshot", "source"].includes(node.type)) return null;
  const holder = h("div", {}, empty("The first rows, read when you ask for them."));
  const load = async () => {
    fill(holder, empty("Reading …"));
    try { fill(holder, resultTable(await get(`nodes/${encodeURIComponent(node.id)}/preview`, { limit: 50 }), "First rows")); }
    catch (error) { fill(holder, h("div", { class: "pad" }, problem(error))); }
  };
  return panel("Rows", { tools: button("Show rows", load) }, holder);
}

function actions(node, page) {
  if (!["model", "seed", "snapshot", "test"].includes(node.type)) return null;
  // What reads the model may be an operation: those are run from their own pages, where they get their parameters.
  const build = select => async () => {
    try { page.go(at("runs", (await post("builds", { command: "build", select: [select], exclude: ["resource_type:operation"] })).id)); } catch (error) { failed(error); }
  };
  const reason = page.act();
  return h("div", { class: "row" }, button("Build", build(node.name), { kind: "primary", reason }),
    button("Build with all behind", build(node.name + "+"), { reason }));
}

export async function draw(root, { name: id, signal, page }) {
  const path = "nodes/" + encodeURIComponent(id);
  const [node, runs] = await Promise.all([get(path, {}, signal), get(path + "/runs", { limit: 60 }, signal)]);
  page.title(node.name);
  const plot = h("div", { class: "pad" }), status = h("span", {});
  function showRuns(items) {
    fill(plot, durations(items, { label: `Durations of ${node.name}` }));
    const last = items[0];
    fill(status, last ? badge(last.status) : badge(null));
  }
  const config = Object.entries(node.config || {}).filter(([, v]) => v !== null && v !== "" && !(Array.isArray(v) && !v.length)
    && !(typeof v === "object" && !Array.isArray(v) && !Object.keys(v).length));
  fill(root, h("div", { class: "view-head" },
    h("div", {}, h("p", { class: "crumb" }, link("/lineage", "Lineage"), ` / ${node.type}`),
      h("h1", {}, node.name, h("span", { class: "tag k-" + kindOf(node.type) }, node.type), status),
      h("p", { class: "facts" }, node.relation ? h("span", { class: "mono" }, node.relation) : null, node.materialized ? h("span", {}, node.materialized) : null,
        place(node.file, node.line), (node.tags || []).map(t => h("span", { class: "tag" }, "#" + t)))), actions(node, page)),
  node.description ? h("p", { class: "about" }, node.description) : null,
  h("div", { class: "halves" }, beside(node, page, signal), panel("Last runs", {}, plot)), columns(node, signal),
  h("div", { class: "halves" }, hooks(node.hooks), tests(node.tests, node.name)), sql(node), preview(node), config.length ? panel("Configuration", {}, h("dl", { class: "pairs" }, config.map(([k, v]) => [h("dt", {}, k),
    h("dd", {}, h("code", {}, typeof v === "object" ? JSON.stringify(v) : String(v)))]))) : null);
  showRuns(runs.items);
  const again = calm(() => get(path + "/runs", { limit: 60 }, signal).then(r => showRuns(r.items)).catch(failed), 1000);
  onEvent(e => { if (e.event === "task" && (e.node_id === id || String(e.task).endsWith("/" + id)) && isOver(e.status)) again(); }, signal);
  signal.addEventListener("abort", again.stop);
}
