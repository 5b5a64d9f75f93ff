// A graph on a canvas: moved by dragging, by two fingers and by keys, zoomed by the wheel. Where nodes stand is
// Layout's work (layout.js, shared with the documentation's page); 10,000 nodes are drawn in a few milliseconds, as
// far away as they are seen: boxes without words, edges as lines.
import { h, tone } from "./dom.js";

/* global Layout */
const SIZE = { width: 210, height: 30, gapX: 70, gapY: 12 };
const KINDS = ["model", "seed", "source", "snapshot", "test", "operation", "flow"];
export const kindOf = type => type === "unit_test" ? "test" : KINDS.includes(type) ? type : "other";

// The colours of the style sheet, as a canvas wants them.
function palette(host) {
  const probe = host.appendChild(h("i", { hidden: true })), found = {};
  for (const name of ["ground", "raised", "line", "strong-line", "text", "soft", "accent", "ok", "bad", "warn", "run", "dim",
    ...KINDS.map(k => "k-" + k), "k-other"]) {
    probe.style.color = `var(--${name})`;
    found[name] = getComputedStyle(probe).color;
  }
  probe.remove();
  return found;
}

export class Graph {
  // Options: label (for readers), open(node), select(node or null), signal.
  constructor(host, { label, open, select, signal }) {
    Object.assign(this, { host, open, onSelect: select || (() => {}), scale: 1, x: 0, y: 0, nodes: [], boxes: [], chosen: -1,
      hovered: -1, near: null, frame: null, fitted: true });
    this.canvas = h("canvas", { tabindex: "0", role: "application", "aria-roledescription": "graph", "aria-label": label });
    this.tip = h("div", { class: "tip", hidden: true, "aria-hidden": "true" });
    this.voice = h("div", { class: "hidden", role: "status", "aria-live": "polite" });
    host.append(this.canvas, this.tip, this.voice);
    this.resizer = new ResizeObserver(() => this.resize());
    this.resizer.observe(host);
    this.listen();
    const recolour = () => { this.colours = null; this.draw(); };
    addEventListener("themechange", recolour, { signal });
    signal.addEventListener("abort", () => this.resizer.disconnect());
  }

  // nodes: {id, name, type, status}; edges: pairs of ids.
  set(nodes, edges) {
    const index = new Map(nodes.map((n, i) => [n.id, i]));
    const parents = nodes.map(() => []), children = nodes.map(() => []);
    for (const [from, to] of edges) {
      const a = index.get(from), b = index.get(to);
      if (a === undefined || b === undefined || a === b) continue;
      children[a].push(b);
      parents[b].push(a);
    }
    const kept = this.chosen >= 0 ? this.nodes[this.chosen].id : null;
    Object.assign(this, { nodes, index, graph: { nodes, parents, children } });
    const places = Layout.places(this.graph, new Set(nodes.keys()), { ...SIZE, tall: Math.max(30, Math.round(1.8 * Math.sqrt(nodes.length))) });
    this.boxes = nodes.map((n, i) => places.get(i) || { x: 0, y: 0 }); // what hangs in a circle has no column
    this.edges = [];
    for (let a = 0; a < nodes.length; a++) for (const b of children[a]) this.edges.push(a, b);
    this.bounds();
    this.chosen = -1;
    this.near = null;
    this.fitted = true;
    if (kept !== null && index.has(kept)) this.choose(index.get(kept), { quiet: true });
    this.fit();
  }

  bounds() {
    let left = Infinity, top = Infinity, right = -Infinity, bottom = -Infinity;
    for (const { x, y } of this.boxes) {
      left = Math.min(left, x); right = Math.max(right, x + SIZE.width);
      top = Math.min(top, y); bottom = Math.max(bottom, y + SIZE.height);
    }
    this.area = this.boxes.length ? { left, top, right, bottom } : { left: 0, top: 0, right: 1, bottom: 1 };
  }

  resize() {
    const { width, height } = this.host.getBoundingClientRect(), dense = devicePixelRatio || 1;
    if (!width || !height) return;
    this.width = width; this.height = height; this.dense = dense;
    this.canvas.width = Math.round(width * dense);
    this.canvas.height = Math.round(height * dense);
    this.fitted ? this.fit() : this.draw();
  }

  // All of it in view; a large graph at a scale at which its shape is seen.
  fit() {
    if (!this.width) return;
    const { left, top, right, bottom } = this.area, PAD = 24;
    const scale = Math.min((this.width - 2 * PAD) / (right - left), (this.height - 2 * PAD) / (bottom - top), 1.1);
    // A small one stays readable where it would not be, as on a telephone: it is moved instead.
    this.scale = Math.max(scale, scale < 0.42 && this.nodes.length <= 60 ? 0.62 : 0.01);
    const wide = this.scale * (right - left) > this.width - 2 * PAD;
    this.x = wide && scale < this.scale ? PAD - this.scale * left : this.width / 2 - this.scale * (left + right) / 2;
    this.y = this.height / 2 - this.scale * (top + bottom) / 2;
    this.fitted = true;
    this.draw();
  }

  zoom(by, px = this.width / 2, py = this.height / 2) {
    const next = Math.min(3, Math.max(0.01, this.scale * by)), real = next / this.scale;
    this.x = px - (px - this.x) * real;
    this.y = py - (py - this.y) * real;
    this.scale = next;
    this.fitted = false;
    this.draw();
  }

  // Brings a node to the middle, readable.
  centre(i) {
    const box = this.boxes[i];
    this.scale = Math.max(this.scale, 0.8);
    this.x = this.width / 2 - this.scale * (box.x + SIZE.width / 2);
    this.y = this.height / 2 - this.scale * (box.y + SIZE.height / 2);
    this.fitted = false;
    this.draw();
  }

  find(id) { return this.index.get(id); }

  choose(i, { quiet = false, centre = false } = {}) {
    this.chosen = i;
    this.near = i < 0 ? null : Layout.around(this.graph, [i], Infinity, 0, () => true)
      .union(Layout.around(this.graph, [i], 0, Infinity, () => true));
    if (centre && i >= 0) this.centre(i);
    this.draw();
    if (quiet) return;
    const node = this.nodes[i];
    if (node) this.voice.textContent = `${node.type} ${node.name}${node.status ? ", " + node.status : ""}, ` +
      `${this.graph.parents[i].length} before, ${this.graph.children[i].length} behind`;
    this.onSelect(node || null);
  }

  setStatus(id, status) {
    const i = this.index?.get(id);
    if (i === undefined || this.nodes[i].status === status) return;
    this.nodes[i].status = status;
    this.draw();
  }

  draw() { if (this.frame === null) this.frame = requestAnimationFrame(() => { this.frame = null; this.paint(); }); }

  paint() {
    if (!this.width || !this.boxes.length && !this.nodes) return;
    const c = this.canvas.getContext("2d"), colours = this.colours = this.colours || palette(this.host);
    c.setTransform(this.dense, 0, 0, this.dense, 0, 0);
    c.clearRect(0, 0, this.width, this.height);
    c.translate(this.x, this.y);
    c.scale(this.scale, this.scale);
    const seen = { left: -this.x / this.scale, top: -this.y / this.scale, right: (this.width - this.x) / this.scale,
      bottom: (this.height - this.y) / this.scale };
    this.paintEdges(c, colours, seen);
    c.font = "13px system-ui, sans-serif";
    c.textBaseline = "middle";
    for (let i = 0; i < this.boxes.length; i++) {
      const { x, y } = this.boxes[i];
      if (x > seen.right || x + SIZE.width < seen.left || y > seen.bottom || y + SIZE.height < seen.top) continue;
      this.paintNode(c, colours, i, x, y);
    }
  }

  paintEdges(c, colours, seen) {
    const far = this.scale < 0.3, { width, height, gapX } = SIZE;
    const trace = (a, b) => {
      const from = this.boxes[a], to = this.boxes[b], x1 = from.x + width, y1 = from.y + height / 2, y2 = to.y + height / 2;
      if (Math.min(x1, to.x) > seen.right || Math.max(x1, to.x) < seen.left || Math.min(y1, y2) > seen.bottom ||
        Math.max(y1, y2) < seen.top) return;
      c.moveTo(x1, y1);
      if (far) return c.lineTo(to.x, y2);
      const bend = Math.max(gapX / 2, Math.min(120, (to.x - x1) / 2));
      c.bezierCurveTo(x1 + bend, y1, to.x - bend, y2, to.x, y2);
    };
    c.lineWidth = 1.2 / Math.max(this.scale, 0.35);
    c.strokeStyle = colours["strong-line"];
    c.globalAlpha = this.near ? 0.12 : far ? 0.35 : 0.6;
    c.beginPath();
    for (let e = 0; e < this.edges.length; e += 2) trace(this.edges[e], this.edges[e + 1]);
    c.stroke();
    if (this.near) {
      c.globalAlpha = 0.9;
      c.strokeStyle = colours.accent;
      c.beginPath();
      for (let e = 0; e < this.edges.length; e += 2)
        if (this.near.has(this.edges[e]) && this.near.has(this.edges[e + 1])) trace(this.edges[e], this.edges[e + 1]);
      c.stroke();
    }
    c.globalAlpha = 1;
  }

  paintNode(c, colours, i, x, y) {
    const node = this.nodes[i], kind = colours["k-" + kindOf(node.type)], { width, height } = SIZE;
    c.globalAlpha = this.near && !this.near.has(i) ? 0.25 : 1;
    if (this.scale < 0.3) { // far away: a box of its colour
      c.fillStyle = node.status && tone(node.status) === "bad" ? colours.bad : kind;
      c.fillRect(x, y, width, height);
      if (i === this.chosen) { c.lineWidth = 3 / this.scale; c.strokeStyle = colours.accent; c.strokeRect(x, y, width, height); }
      return;
    }
    c.beginPath();
    c.roundRect(x, y, width, height, 5);
    c.fillStyle = i === this.hovered ? colours.raised : colours.ground;
    c.fill();
    c.lineWidth = i === this.chosen ? 2.5 : 1;
    c.strokeStyle = i === this.chosen ? colours.accent : colours["strong-line"];
    c.stroke();
    c.fillStyle = kind;
    c.beginPath();
    c.roundRect(x, y, 5, height, [5, 0, 0, 5]);
    c.fill();
    c.fillStyle = colours.text;
    c.fillText(this.cut(c, node.name, width - (node.status ? 42 : 24)), x + 14, y + height / 2 + 1);
    if (node.status) this.paintStatus(c, colours[tone(node.status)], node.status, x + width - 16, y + height / 2);
  }

  // A status has its own shape here, too.
  paintStatus(c, colour, status, x, y) {
    c.strokeStyle = c.fillStyle = colour;
    c.lineWidth = 2;
    c.beginPath();
    if (status === "success") { c.moveTo(x - 4, y); c.lineTo(x - 1, y + 3.5); c.lineTo(x + 4.5, y - 3.5); }
    else if (tone(status) === "bad") { c.moveTo(x - 4, y - 4); c.lineTo(x + 4, y + 4); c.moveTo(x + 4, y - 4); c.lineTo(x - 4, y + 4); }
    else if (tone(status) === "run") c.arc(x, y, 4.5, 0, Math.PI * 1.5);
    else if (tone(status) === "warn") { c.moveTo(x, y - 5); c.lineTo(x, y + 1); c.moveTo(x, y + 4); c.lineTo(x, y + 5); }
    else { c.moveTo(x - 4, y); c.lineTo(x + 4, y); }
    c.stroke();
  }

  // A name that fits; measured once.
  cut(c, name, room) {
    const kept = this.cuts = this.cuts || new Map(), key = name + room;
    let text = kept.get(key);
    if (text !== undefined) return text;
    text = name;
    if (c.measureText(text).width > room) {
      let low = 1, high = name.length;
      while (low < high) {
        const middle = (low + high + 1) >> 1;
        c.measureText(name.slice(0, middle) + "…").width <= room ? low = middle : high = middle - 1;
      }
      text = name.slice(0, low) + "…";
    }
    kept.set(key, text);
    return text;
  }

  hit(px, py) {
    const x = (px - this.x) / this.scale, y = (py - this.y) / this.scale;
    return this.boxes.findIndex(b => x >= b.x && x <= b.x + SIZE.width && y >= b.y && y <= b.y + SIZE.height);
  }

  // Where a node's middle is seen, in the canvas: what a pointer must hit.
  spot(id) {
    const box = this.boxes[this.index.get(id)];
    return { x: this.x + this.scale * (box.x + SIZE.width / 2), y: this.y + this.scale * (box.y + SIZE.height / 2) };
  }

  listen() {
    const canvas = this.canvas, fingers = new Map();
    let moved = 0, apart = 0;
    const local = e => { const r = canvas.getBoundingClientRect(); return [e.clientX - r.left, e.clientY - r.top]; };
    canvas.addEventListener("pointerdown", e => {
      canvas.setPointerCapture(e.pointerId);
      fingers.set(e.pointerId, local(e));
      moved = 0;
      apart = 0;
      this.tip.hidden = true;
    });
    canvas.addEventListener("pointermove", e => {
      const [x, y] = local(e), before = fingers.get(e.pointerId);
      if (!before) return this.hover(x, y);
      fingers.set(e.pointerId, [x, y]);
      if (fingers.size === 2) {
        const [[ax, ay], [bx, by]] = [...fingers.values()], now = Math.hypot(ax - bx, ay - by);
        if (apart) this.zoom(now / apart, (ax + bx) / 2, (ay + by) / 2);
        apart = now;
        moved = 99;
        return;
      }
      moved += Math.abs(x - before[0]) + Math.abs(y - before[1]);
      if (moved < 4) return;
      this.x += x - before[0];
      this.y += y - before[1];
      this.fitted = false;
      this.draw();
    });
    const up = e => {
      const [x, y] = local(e), was = fingers.delete(e.pointerId);
      apart = 0;
      if (was && moved < 4 && e.type === "pointerup") this.choose(this.hit(x, y));
    };
    canvas.addEventListener("pointerup", up);
    canvas.addEventListener("pointercancel", up);
    canvas.addEventListener("pointerleave", () => { this.tip.hidden = true; });
    canvas.addEventListener("dblclick", e => {
      const i = this.hit(...local(e));
      if (i >= 0 && this.open) this.open(this.nodes[i]);
    });
    canvas.addEventListener("wheel", e => {
      e.preventDefault();
      const step = e.deltaMode === 1 ? e.deltaY * 20 : e.deltaY;
      this.zoom(Math.exp(-Math.max(-200, Math.min(200, step)) * 0.0022), ...local(e));
    }, { passive: false });
    canvas.addEventListener("keydown", e => this.key(e));
  }

  hover(x, y) {
    const i = this.hit(x, y);
    if (i !== this.hovered) { this.hovered = i; this.draw(); }
    this.canvas.style.cursor = i >= 0 ? "pointer" : "grab";
    this.tip.hidden = i < 0;
    if (i < 0) return;
    const node = this.nodes[i];
    this.tip.textContent = `${node.type} · ${node.label || node.name}${node.status ? " · " + node.status.replace(/_/g, " ") : ""}`;
    this.tip.style.left = Math.min(x + 14, Math.max(0, this.width - this.tip.offsetWidth - 8)) + "px";
    this.tip.style.top = Math.min(y + 16, this.height - 34) + "px";
  }

  key(e) {
    const i = this.chosen, go = list => { if (list.length) this.choose(list[0], { centre: true }); };
    const beside = step => {
      const box = this.boxes[i];
      const column = this.boxes.map((b, n) => n).filter(n => this.boxes[n].x === box.x)
        .sort((a, b) => this.boxes[a].y - this.boxes[b].y);
      const next = column[column.indexOf(i) + step];
      if (next !== undefined) this.choose(next, { centre: true });
    };
    if (e.ctrlKey || e.metaKey || e.altKey) return;
    if (e.key === "+" || e.key === "=") this.zoom(1.25);
    else if (e.key === "-") this.zoom(0.8);
    else if (e.key === "0") this.fit();
    else if (e.key === "Escape" && i >= 0) this.choose(-1);
    else if (e.key.startsWith("Arrow")) {
      if (!this.nodes.length) return;
      if (i < 0) this.choose(0, { centre: true });
      else if (e.key === "ArrowLeft") go(this.graph.parents[i]);
      else if (e.key === "ArrowRight") go(this.graph.children[i]);
      else beside(e.key === "ArrowUp" ? -1 : 1);
    } else if (e.key === "Enter" && i >= 0 && this.open) this.open(this.nodes[i]);
    else return;
    e.preventDefault();
  }
}

// The buttons beside a graph.
export function graphTools(graph) {
  const make = (text, about, run) => h("button", { type: "button", class: "plain", title: about, "aria-label": about, onclick: run }, text);
  return h("div", { class: "graph-tools" }, make("+", "Zoom in", () => graph.zoom(1.3)),
    make("−", "Zoom out", () => graph.zoom(0.77)), make("⤢", "Show all", () => graph.fit()));
}
