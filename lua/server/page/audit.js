// Who did what, and when.
import { h, fill, button, time, table, failed } from "./dom.js";
import { get } from "./api.js";

const about = data => data && Object.keys(data).length ? h("code", { class: "clamp" }, JSON.stringify(data)) : "";

export async function draw(root, { signal, page }) {
  page.title("Audit");
  const holder = h("div", { class: "panel" });
  let rows = [], next = null;
  const more = button("Older", () => load(next).catch(failed));
  async function load(before) {
    const answer = await get("audit", { limit: 100, before }, signal);
    rows = [...rows, ...answer.items];
    next = answer.next;
    more.hidden = !next;
    fill(holder, table("Actions, newest first", [{ head: "When", cell: a => time(a.at) },
      { head: "Who", cell: a => h("span", {}, h("strong", {}, a.who || "–"), a.role ? h("span", { class: "soft" }, ` (${a.role})`) : null) },
      { head: "Action", cell: a => h("code", {}, a.action) }, { head: "On", class: "grow", cell: a => h("span", {}, a.subject || "", " ", about(a.data)) },
      { head: "Outcome", cell: a => h("span", { class: /^(ok|done|success|accepted|2\d\d)/.test(String(a.outcome)) ? "soft" : "t-bad" }, String(a.outcome ?? "")) }], rows, "Nobody has done anything yet."));
  }
  fill(root, h("div", { class: "view-head" }, h("div", {}, h("h1", {}, "Audit"), h("p", { class: "soft" }, "Every action that changes something, by whom and when."))), holder, h("div", { class: "row" }, more));
  await load();
}
