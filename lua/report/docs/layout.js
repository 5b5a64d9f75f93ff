"use strict";

// Where the nodes of a graph stand: in columns by their distance from the sources. Shared by the documentation's page
// and the live page, which draw it each in their own way. `graph` has nodes, parents and children (lists of indexes).
const Layout = (() => {
  // What lies within `up` steps before and `down` steps behind the given nodes.
  function around(graph, centre, up, down, wanted) {
    const found = new Set(centre);
    for (const [edges, steps] of [[graph.parents, up], [graph.children, down]]) {
      let edge = [...centre];
      for (let i = 0; i < steps && edge.length; i++) {
        const next = [];
        for (const at of edge)
          for (const other of edges[at])
            if (!found.has(other) && wanted(graph.nodes[other])) { found.add(other); next.push(other); }
        edge = next;
      }
    }
    return found;
  }

  // The column of each node: one more than the last of its parents. Without recursion, as chains may be long.
  function columns(graph, chosen) {
    const column = new Map(), waits = new Map(), ready = [];
    for (const at of chosen) {
      const n = graph.parents[at].filter(p => chosen.has(p)).length;
      waits.set(at, n);
      column.set(at, 0);
      if (n === 0) ready.push(at);
    }
    for (let i = 0; i < ready.length; i++)
      for (const child of graph.children[ready[i]]) {
        if (!chosen.has(child)) continue;
        column.set(child, Math.max(column.get(child), column.get(ready[i]) + 1));
        waits.set(child, waits.get(child) - 1);
        if (waits.get(child) === 0) ready.push(child);
      }
    return column;
  }

  // The boxes of the chosen nodes, {x, y} of the upper left corner by index. `size` has width, height, gapX and gapY, and
  // may have `tall`: a column of more nodes than that is laid in several beside each other, so that a large graph is as
  // wide as it is high. Within a column each node goes near the middle of its neighbours, a few times over.
  function places(graph, chosen, size) {
    const column = columns(graph, chosen), rows = [];
    for (const [at, c] of column) (rows[c] = rows[c] || []).push(at);
    const place = new Map();
    const number = row => row.forEach((at, i) => place.set(at, i - (row.length - 1) / 2));
    rows.forEach(number);
    for (let round = 0; round < 6; round++) {
      const forward = round % 2 === 0, edges = forward ? graph.parents : graph.children;
      const order = forward ? rows : [...rows].reverse();
      for (const row of order) {
        const middle = new Map(row.map(at => {
          const near = edges[at].filter(o => chosen.has(o));
          const sum = near.reduce((s, o) => s + place.get(o), 0);
          return [at, near.length ? sum / near.length : place.get(at)];
        }));
        row.sort((a, b) => middle.get(a) - middle.get(b));
        number(row);
      }
    }
    const boxes = new Map();
    let x = 0;
    for (const row of rows) {
      const beside = Math.ceil(row.length / (size.tall || Infinity)) || 1, high = Math.ceil(row.length / beside);
      row.forEach((at, i) => boxes.set(at, { x: x + i % beside * (size.width + size.gapX / 3),
        y: (Math.floor(i / beside) - (high - 1) / 2) * (size.height + size.gapY) }));
      x += beside * size.width + (beside - 1) * size.gapX / 3 + size.gapX;
    }
    return boxes;
  }

  return { around, columns, places };
})();
