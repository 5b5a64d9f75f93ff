"use strict";

// The lineage picture: what Layout (layout.js) has placed, drawn as SVG, moved by dragging and by the wheel.
const Lineage = (() => {
  const WIDTH = 190, HEIGHT = 26, GAP_X = 60, GAP_Y = 12;
  const SIZE = { width: WIDTH, height: HEIGHT, gapX: GAP_X, gapY: GAP_Y };

  function element(name, attributes, parent) {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const key in attributes) made.setAttribute(key, attributes[key]);
    if (parent) parent.appendChild(made);
    return made;
  }

  function movable(svg, box) {
    const show = () => svg.setAttribute("viewBox", `${box.x} ${box.y} ${box.w} ${box.h}`);
    let from = null;
    svg.addEventListener("pointerdown", e => { from = { x: e.clientX, y: e.clientY }; });
    svg.addEventListener("pointermove", e => {
      if (!from || !(e.buttons & 1)) return;
      const scale = box.w / svg.clientWidth;
      box.x -= (e.clientX - from.x) * scale;
      box.y -= (e.clientY - from.y) * scale;
      from = { x: e.clientX, y: e.clientY };
      show();
    });
    svg.addEventListener("wheel", e => {
      e.preventDefault();
      const by = e.deltaY > 0 ? 1.15 : 1 / 1.15, area = svg.getBoundingClientRect();
      const px = (e.clientX - area.left) / area.width, py = (e.clientY - area.top) / area.height;
      box.x += box.w * (1 - by) * px;
      box.y += box.h * (1 - by) * py;
      box.w *= by;
      box.h *= by;
      show();
    }, { passive: false });
    show();
  }

  // Draws the chosen nodes into `holder`; `self` is marked.
  function draw(holder, graph, chosen, self, colour) {
    holder.textContent = "";
    const boxes = Layout.places(graph, chosen, SIZE), svg = element("svg", { role: "img", "aria-label": "Lineage" }, holder);
    let left = Infinity, top = Infinity, right = -Infinity, bottom = -Infinity;
    for (const [at, b] of boxes)
      for (const child of graph.children[at]) {
        const c = boxes.get(child);
        if (!c) continue;
        const x1 = b.x + WIDTH, y1 = b.y + HEIGHT / 2, y2 = c.y + HEIGHT / 2, bend = GAP_X / 2;
        element("path", { d: `M${x1} ${y1}C${x1 + bend} ${y1} ${c.x - bend} ${y2} ${c.x} ${y2}` }, svg);
      }
    for (const [at, b] of boxes) {
      const node = graph.nodes[at], link = element("a", { href: "#/" + encodeURIComponent(node.id) }, svg);
      if (at === self) link.setAttribute("class", "self");
      element("title", {}, link).textContent = `${node.kind} ${node.name}`;
      element("rect", { x: b.x, y: b.y, width: WIDTH, height: HEIGHT, class: "k-" + colour(node) }, link);
      const text = node.name.length > 27 ? node.name.slice(0, 26) + "…" : node.name;
      element("text", { x: b.x + 9, y: b.y + 17 }, link).textContent = text;
      left = Math.min(left, b.x); right = Math.max(right, b.x + WIDTH);
      top = Math.min(top, b.y); bottom = Math.max(bottom, b.y + HEIGHT);
    }
    const w = Math.max(right - left + 40, 700), h = Math.max(bottom - top + 40, 250);
    movable(svg, { x: (left + right - w) / 2, y: (top + bottom - h) / 2, w, h });
  }

  return { draw };
})();
