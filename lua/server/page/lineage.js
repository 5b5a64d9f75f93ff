// The lineage of the project: the picture, what is chosen in it, and the same as a list.
import { h, fill, panel, link, at, badge, failed, count, button, sign, empty, calm } from "./dom.js";
import { get, onEvent } from "./api.js";
import { Graph, graphTools, kindOf } from "./graph.js";
import { virtual } from "./virtual.js";

/* global Layout */
const LEGEND = ["model", "source", "seed", "snapshot", "test", "operation", "flow"];

export const pathOf = node => node.type === "operation" ? at("operations", node.name)
  : node.type === "flow" ? at("flows", node.name) : at("nodes", node.id);

function choosing(search) {
  const select = h("input", { id: "select", type: "search", value: search.get("select") || "", placeholder: "tag:nightly+ 2+orders path:models/marts",
    spellcheck: "false", autocomplete: "off" });
  const exclude = h("input", { id: "exclude", type: "search", value: search.get("exclude") || "", placeholder: "package:elementary",
    spellcheck: "false", autocomplete: "off" });
  const tests = h("input", { type: "checkbox", name: "tests", checked: search.get("tests") === "1" });
  return { select, exclude, tests };
}

export async function draw(root, { signal, page, search }) {
  page.title("Lineage");
  const { select, exclude, tests } = choosing(search);
  const host = h("div", { class: "graph" }), told = h("span", { class: "soft", role: "status" }), trouble = h("div");
  const side = h("aside", { class: "side", "aria-label": "Nodes" });
  let all = { nodes: [], edges: [] }, focus = search.get("focus"), up = 99, down = 99, listed = [], chosen = null;
  const graph = new Graph(host, { label: "Lineage. The list beside it names the same nodes.", signal,
    open: node => page.go(pathOf(node)), select: node => { chosen = node; about(); mark(); } });
  host.append(graphTools(graph), h("ul", { class: "legend", "aria-label": "Colours" }, LEGEND.map(kind =>
    h("li", { class: "k-" + kind }, h("i"), kind))));

  // What stands in the list: found by name.
  const find = h("input", { type: "search", "aria-label": "Find a node by name", placeholder: "Find a node: press /", autocomplete: "off", spellcheck: "false" });
  const list = virtual({ height: 30, label: "Nodes", class: "node-list", render: i => {
    const node = listed[i];
    const row = h("div", { class: `node-row k-${kindOf(node.type)}` + (chosen && chosen.id === node.id ? " chosen" : "") },
      h("button", { type: "button", class: "link", title: node.id, "data-key": node.id, onclick: () => pick(node.id) },
        h("i", { "aria-hidden": "true" }), h("span", { class: "hidden" }, node.type + " "), node.name), node.status ? sign(node.status) : null);
    return row;
  } });
  const card = h("div", { class: "chosen-card" });
  side.append(find, card, list.element);

  function pick(id) {
    const i = graph.find(id);
    if (i !== undefined) graph.choose(i, { centre: true });
  }
  function mark() { list.set(listed.length); }
  function about() {
    if (!chosen) return fill(card);
    const steps = (value, set, label) => h("select", { "aria-label": label, onchange: e => { set(Number(e.target.value)); focusOn(chosen.id); } },
      [[0, "0"], [1, "1"], [2, "2"], [3, "3"], [99, "all"]].map(([n, text]) => h("option", { value: n, selected: n === value }, text)));
    fill(card, h("div", { class: "row" }, h("strong", { class: "mono" }, chosen.name), chosen.status ? badge(chosen.status) : null),
      h("p", { class: "soft" }, [chosen.type, chosen.materialized, chosen.schema, chosen.file].filter(Boolean).join(" · ")),
      h("div", { class: "row" }, link(pathOf(chosen), "Open"), button("Focus", () => focusOn(chosen.id)),
        h("span", { class: "soft" }, "up"), steps(up, n => { up = n; }, "Steps up"),
        h("span", { class: "soft" }, "down"), steps(down, n => { down = n; }, "Steps down")));
  }

  // Only what leads to a node and from it.
  function focusOn(id) {
    focus = id;
    remember();
    show();
  }
  const unfocus = button("Show everything", () => focusOn(null));

  function show() {
    const wanted = tests.checked ? all.nodes
      : all.nodes.filter(n => kindOf(n.type) !== "test" || n.id === focus);
    let nodes = wanted;
    if (focus && all.nodes.some(n => n.id === focus)) {
      const index = new Map(wanted.map((n, i) => [n.id, i])), parents = wanted.map(() => []), children = wanted.map(() => []);
      for (const [a, b] of all.edges) {
        const from = index.get(a), to = index.get(b);
        if (from === undefined || to === undefined) continue;
        children[from].push(to);
        parents[to].push(from);
      }
      const kept = Layout.around({ nodes: wanted, parents, children }, [index.get(focus)], up, down, () => true);
      nodes = wanted.filter((n, i) => kept.has(i));
    }
    unfocus.hidden = !focus;
    graph.set(nodes, all.edges);
    told.textContent = count(nodes.length, "node") + (nodes.length < all.nodes.length ? ` of ${all.nodes.length}` : "");
    host.classList.toggle("is-empty", !nodes.length);
    filterList();
    if (focus) { const i = graph.find(focus); if (i !== undefined) graph.choose(i); }
  }
  function filterList() {
    const asked = find.value.trim().toLowerCase().split(/\s+/).filter(Boolean);
    listed = graph.nodes.filter(n => asked.every(w => (n.name + " " + n.type).toLowerCase().includes(w)))
      .sort((a, b) => a.name < b.name ? -1 : a.name > b.name ? 1 : 0);
    list.set(listed.length);
  }
  function remember() {
    const values = new URLSearchParams();
    for (const [key, value] of [["select", select.value.trim()], ["exclude", exclude.value.trim()], ["focus", focus], ["tests", tests.checked ? "1" : ""]])
      if (value) values.set(key, value);
    const text = values.toString();
    page.go("/lineage" + (text ? "?" + text : ""), { replace: true });
  }
  async function load() {
    fill(trouble);
    all = await get("lineage", { select: select.value.trim(), exclude: exclude.value.trim() }, signal);
    if (all.warnings && all.warnings.length) fill(trouble, h("div", { class: "note", role: "status" }, all.warnings.join("; ")));
    show();
  }
  const apply = async e => {
    e.preventDefault();
    focus = null;
    remember();
    try { await load(); } catch (error) { if (error.name !== "AbortError") fill(trouble, h("div", { class: "problem", role: "alert" },
      h("div", {}, h("strong", {}, error.message), error.hint && h("p", {}, error.hint)))); }
  };
  fill(root, h("div", { class: "view-head" }, h("h1", {}, "Lineage")),
    h("form", { class: "row filter", role: "search", onsubmit: apply },
      h("label", { for: "select" }, "Select"), select, h("label", { for: "exclude" }, "Exclude"), exclude,
      h("button", { type: "submit", class: "primary" }, "Show"), h("label", { class: "check" }, tests, "tests"), unfocus, told), trouble,
    h("div", { class: "split" }, h("div", { class: "panel graph-panel" }, host, empty("Nothing is selected.")), h("div", { class: "panel" }, side)));
  tests.addEventListener("change", () => { remember(); show(); });
  find.addEventListener("input", filterList);
  find.addEventListener("keydown", e => { if (e.key === "Enter" && listed[0]) pick(listed[0].id); });
  const redraw = calm(mark, 250);
  onEvent(e => {
    if (e.event !== "task" || !e.status) return;
    const id = e.node_id || String(e.task || "").replace(/^.*\//, "");
    graph.setStatus(id, e.status);
    redraw();
  }, signal);
  signal.addEventListener("abort", redraw.stop);
  // From here on it can be used: browsers' tools and the tests see when.
  root.addEventListener("shown", () => requestAnimationFrame(() => performance.mark("lineage")));
  await load().catch(error => { if (error.name === "AbortError" || error.status === 401) throw error; failed(error); });
}
