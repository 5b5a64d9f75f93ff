"use strict";

(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const nodes = data.nodes, byId = new Map(nodes.map((n, i) => [n.id, i]));
  const graph = { nodes, parents: nodes.map(() => []), children: nodes.map(() => []) };
  for (const [from, to] of data.edges) { graph.children[from].push(to); graph.parents[to].push(from); }

  const list = document.getElementById("list"), main = document.getElementById("main");
  const search = document.getElementById("search");
  const isTest = n => n.kind === "test" || n.kind === "unit_test";
  const colour = n => ["model", "seed", "source", "snapshot", "test", "unit_test"].includes(n.kind) ? n.kind : "other";
  const href = i => "#/" + encodeURIComponent(nodes[i].id);

  // make("a", {href: "#"}, "text", element, ...)
  function make(name, attributes, ...inside) {
    const made = document.createElement(name);
    for (const key in attributes || {}) made.setAttribute(key, attributes[key]);
    made.append(...inside.filter(x => x !== null && x !== undefined));
    return made;
  }

  // The list at the side ------------------------------------------------------------------------------------

  const link = i => make("a", { href: href(i), title: nodes[i].id }, nodes[i].name);

  function folder(name, tree, open) {
    const details = make("details", open ? { open: "" } : {}, make("summary", {}, name));
    details.addEventListener("toggle", () => {
      if (!details.open || details.dataset.filled) return; // filled when it is first opened
      details.dataset.filled = "1";
      for (const [key, sub] of [...tree.folders].sort((a, b) => a[0] < b[0] ? -1 : 1)) details.append(folder(key, sub, false));
      for (const i of tree.nodes.sort((a, b) => nodes[a].name < nodes[b].name ? -1 : 1)) details.append(link(i));
    });
    return details;
  }

  const branch = () => ({ folders: new Map(), nodes: [] });
  const root = new Map();
  nodes.forEach((n, i) => {
    if (isTest(n)) return;
    const path = n.kind === "source" ? ["sources", n.name.split(".")[0]] : (n.path || n.kind).split("/").slice(0, -1);
    if (!root.has(n.package)) root.set(n.package, branch());
    let at = root.get(n.package);
    for (const part of path) {
      if (!at.folders.has(part)) at.folders.set(part, branch());
      at = at.folders.get(part);
    }
    at.nodes.push(i);
  });

  function showTree() {
    list.textContent = "";
    const packages = [...root].sort((a, b) => (b[0] === data.project) - (a[0] === data.project) || (a[0] < b[0] ? -1 : 1));
    for (const [name, tree] of packages) list.append(folder(name, tree, name === data.project));
  }

  // Every word must be found; a name counts more than a text.
  const texts = nodes.map(n => [n.name, n.about || "", (n.tags || []).join(" "),
    (n.columns || []).map(c => c.name + " " + (c.about || "")).join(" ")].join("\n").toLowerCase());
  function find(query) {
    const words = query.toLowerCase().split(/\s+/).filter(Boolean), found = [];
    for (let i = 0; i < nodes.length; i++) {
      if (!words.every(w => texts[i].includes(w))) continue;
      const name = nodes[i].name.toLowerCase();
      const score = words.reduce((s, w) => s + (name === w ? 8 : name.startsWith(w) ? 4 : name.includes(w) ? 2 : 0), 0);
      found.push([score - (isTest(nodes[i]) ? 3 : 0), i]);
    }
    return found.sort((a, b) => b[0] - a[0] || (nodes[a[1]].name < nodes[b[1]].name ? -1 : 1)).map(f => f[1]);
  }
  function showFound(query) {
    const found = find(query);
    list.textContent = "";
    list.append(make("p", { role: "status" }, found.length === 1 ? "1 node" : found.length + " nodes"));
    for (const i of found.slice(0, 200)) list.append(link(i));
    if (found.length > 200) list.append(make("p", {}, "and " + (found.length - 200) + " more: add a word"));
    mark();
  }
  search.addEventListener("input", () => { search.value.trim() ? showFound(search.value) : (showTree(), mark()); });
  search.addEventListener("keydown", e => {
    if (e.key !== "Enter") return;
    const first = list.querySelector("a");
    if (first) location.hash = first.getAttribute("href");
  });
  document.addEventListener("keydown", e => {
    if (e.key !== "/" || /^(INPUT|SELECT|TEXTAREA)$/.test(document.activeElement.tagName)) return;
    e.preventDefault();
    search.focus();
  });

  function mark() {
    for (const a of list.querySelectorAll("a"))
      a.getAttribute("href") === location.hash ? a.setAttribute("aria-current", "page") : a.removeAttribute("aria-current");
  }

  // A node --------------------------------------------------------------------------------------------------

  function rows(head, body) {
    return make("table", {}, make("thead", {}, make("tr", {}, ...head.map(h => make("th", { scope: "col" }, h)))),
      make("tbody", {}, ...body.map(cells => make("tr", {}, ...cells.map(c => make("td", {}, c))))));
  }

  function section(title, ...inside) { return make("section", {}, make("h3", {}, title), ...inside); }

  function lineage(i) {
    const holder = make("div", { class: "lineage" }), tests = make("input", { type: "checkbox" });
    const up = make("select", { "aria-label": "Steps up" }), down = make("select", { "aria-label": "Steps down" });
    for (const [box, start] of [[up, "2"], [down, "2"]]) {
      for (const n of ["0", "1", "2", "3", "5", "all"]) box.append(make("option", { value: n }, n));
      box.value = start;
    }
    const steps = box => box.value === "all" ? Infinity : Number(box.value);
    function redraw() {
      const wanted = n => tests.checked || !isTest(n);
      Lineage.draw(holder, graph, Layout.around(graph, [i], steps(up), steps(down), wanted), i, colour);
    }
    for (const box of [up, down, tests]) box.addEventListener("change", redraw);
    requestAnimationFrame(redraw);
    return section("Lineage", make("div", { class: "tools" }, "up", up, "down", down, make("label", {}, tests, " tests")), holder);
  }

  function neighbours(title, indexes) {
    if (!indexes.length) return null;
    const parts = [];
    indexes.forEach((i, n) => parts.push(n ? ", " : "", make("a", { href: href(i) }, nodes[i].name)));
    return make("p", {}, title + ": ", ...parts);
  }

  function columns(i) {
    const n = nodes[i];
    if (!n.columns) return null;
    const tests = new Map();
    for (const child of graph.children[i])
      if (isTest(nodes[child]) && nodes[child].column)
        tests.set(nodes[child].column, [...(tests.get(nodes[child].column) || []), child]);
    return section("Columns", rows(["name", "type", "description", "tests"], n.columns.map(c => {
      const cell = make("span");
      (tests.get(c.name) || []).forEach((t, k) => cell.append(k ? ", " : "", make("a", { href: href(t) }, nodes[t].name)));
      return [make("code", {}, c.name), c.type || "", c.about || "", cell];
    })));
  }

  function code(n) {
    if (!n.raw && !n.sql) return null;
    const pre = make("pre", { tabindex: "0" }), tools = make("div", { class: "tools" });
    const kinds = [["source", n.raw], ["compiled", n.sql]].filter(k => k[1]);
    function choose(which) {
      pre.textContent = kinds[which][1];
      [...tools.children].forEach((b, k) => b.setAttribute("aria-pressed", String(k === which)));
    }
    kinds.forEach(([name], k) => {
      const button = make("button", { type: "button" }, name);
      button.addEventListener("click", () => choose(k));
      tools.append(button);
    });
    choose(0);
    return section("SQL", tools, pre);
  }

  function hooks(n) {
    if (!n.hooks) return null;
    return section("Hooks", rows(["phase", "hook", "declared"], n.hooks.map(h => [h.phase + (h.outside ? ", outside the transaction" : ""),
      make("span", {}, h.name ? make("b", {}, h.name + ": ") : null, make("code", {}, h.sql)), h.file || ""])));
  }

  function showNode(i) {
    const n = nodes[i];
    const facts = [n.relation, n.materialized, n.type && n.type.toLowerCase(), n.owner && "owner " + n.owner, n.access, n.group && "group " + n.group,
      n.tags && n.tags.map(t => "#" + t).join(" "), n.path].filter(Boolean);
    const others = graph.children[i].filter(c => !isTest(nodes[c])), tests = graph.children[i].filter(c => isTest(nodes[c]));
    main.replaceChildren(...[make("h2", {}, n.name, " ", make("span", { class: "kind k-" + colour(n) }, n.kind)),
      make("p", { class: "facts" }, facts.join(" · ")), n.about ? make("p", { class: "about" }, n.about) : null, lineage(i),
      neighbours("Reads", graph.parents[i]), neighbours("Read by", others), neighbours("Tests", tests), columns(i), hooks(n), code(n)].filter(Boolean));
    document.title = n.name + " · " + data.project;
  }

  function showHome() {
    const counts = new Map();
    for (const n of nodes) counts.set(n.kind, (counts.get(n.kind) || 0) + 1);
    const holder = make("div", { class: "lineage tall" });
    const all = nodes.map((n, i) => i).filter(i => !isTest(nodes[i]));
    main.replaceChildren(make("h2", {}, data.project), make("p", { class: "facts" },
      [...counts].map(([kind, n]) => n + " " + kind + (n === 1 ? "" : "s")).join(" · ") + " · target " + data.target), holder);
    document.title = data.project + " · documentation";
    const draw = () => Lineage.draw(holder, graph, new Set(all), -1, colour);
    if (all.length <= 1500) return requestAnimationFrame(draw);
    const button = make("button", { type: "button" }, "Draw the lineage of all " + all.length + " nodes");
    button.addEventListener("click", draw);
    holder.append(button);
  }

  function show() {
    const i = byId.get(decodeURIComponent(location.hash.slice(2)));
    i === undefined ? showHome() : showNode(i);
    main.scrollTop = 0;
    mark();
  }
  window.addEventListener("hashchange", () => { show(); main.focus(); });
  showTree();
  show();
})();
