// Small plots: durations as bars, each with its status, and the strip of a flow's last runs.
import { count, h, svg, duration, words, icon, millis, tone, time } from "./dom.js";

// `runs`: {id or run_id, status, duration, started_at}, newest first. Bars link to their runs; their height is the time.
export function strip(runs, { most = 20, label = "Last runs" } = {}) {
  const shown = runs.slice(0, most).reverse();
  const longest = Math.max(...shown.map(r => r.duration || 0), 0.001);
  if (!shown.length) return h("span", { class: "soft" }, "no runs yet");
  return h("span", { class: "strip", role: "list", "aria-label": label }, shown.map(run => {
    const id = run.id || run.run_id, told = `${words(run.status)}${run.duration ? ", " + duration(run.duration) : ""}`;
    const bar = h("i", { class: `t-${tone(run.status)} s-${run.status}` });
    bar.style.height = Math.max(18, Math.round(100 * (run.duration || 0) / longest)) + "%";
    return h("span", { role: "listitem" }, h("a", { href: "/runs/" + encodeURIComponent(id), "aria-label": told,
      title: `${told} · ${run.started_at ? new Date(millis(run.started_at)).toLocaleString() : "not started"}` }, bar));
  }));
}

const axisText = seconds => seconds === 0 ? "0" : duration(seconds).replace(".0 ", " ");
const nice = most => {
  const power = 10 ** Math.floor(Math.log10(most));
  return [1, 2, 3, 5, 10].map(n => n * power).find(n => n >= most) || most;
};

// Durations over time, oldest at the left: a bar for each run, the median as a line. For readers and keys it is one
// picture; the same stands below it as a table, with links.
export function durations(runs, { label = "Durations", height = 150 } = {}) {
  const list = runs.filter(r => r.duration !== null && r.duration !== undefined).slice(0, 120).reverse();
  if (!list.length) return h("p", { class: "empty" }, "No run has ended yet.");
  const WIDTH = innerWidth < 640 ? 340 : 720, LEFT = 58, BOTTOM = 8, TOP = 10, inner = height - BOTTOM - TOP;
  const most = nice(Math.max(...list.map(r => r.duration), 0.001));
  const y = seconds => TOP + inner * (1 - seconds / most);
  const step = Math.min(26, (WIDTH - LEFT - 8) / list.length);
  const sorted = list.map(r => r.duration).sort((a, b) => a - b), median = sorted[Math.floor(sorted.length / 2)];
  const picture = svg("svg", { class: "plot", viewBox: `0 0 ${WIDTH} ${height}`, role: "img",
    "aria-label": `${label}: ${count(list.length, "run")}, median ${duration(median)}, longest ${duration(sorted[sorted.length - 1])}` });
  for (const share of [0, 0.5, 1]) {
    const at = y(most * share);
    picture.append(svg("line", { x1: LEFT, x2: WIDTH, y1: at, y2: at, class: "grid" }),
      svg("text", { x: LEFT - 8, y: at + 4, class: "axis", "text-anchor": "end" }, axisText(most * share)));
  }
  list.forEach((run, i) => {
    const x = LEFT + 4 + i * step, top = Math.min(y(run.duration), height - BOTTOM - 2);
    picture.append(svg("rect", { "data-href": "/runs/" + encodeURIComponent(run.id || run.run_id), x, y: top, width: Math.max(1.5, step - Math.min(3, step / 4)), height: height - BOTTOM - top, rx: 1.5,
      class: `t-${tone(run.status)} s-${run.status}` },
    svg("title", {}, `${words(run.status)}, ${duration(run.duration)}, ${new Date(millis(run.started_at)).toLocaleString()}`)));
  });
  picture.append(svg("line", { x1: LEFT, x2: WIDTH, y1: y(median), y2: y(median), class: "median" }));
  return h("figure", { class: "figure" }, picture, h("figcaption", { class: "soft" },
    `${count(list.length, "run")} · median ${duration(median)} · longest ${duration(sorted[sorted.length - 1])}`),
  h("details", {}, h("summary", {}, "As a table"), h("ul", { class: "plain-list" }, [...list].reverse().map(run =>
    h("li", { class: "row" }, icon(run.status), h("a", { href: "/runs/" + encodeURIComponent(run.id || run.run_id) },
      time(run.started_at)), h("span", {}, words(run.status)), h("span", { class: "num" }, duration(run.duration)))))));
}
