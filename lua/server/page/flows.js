// The flows: how their last runs went, and when they run next.
import { h, fill, empty, calm, failed, count } from "./dom.js";
import { get, onEvent } from "./api.js";
import { flowRows } from "./home.js";

export async function draw(root, { signal, page }) {
  page.title("Flows");
  const find = h("input", { type: "search", placeholder: "Find a flow: press /", "aria-label": "Find a flow", autocomplete: "off", oninput: () => show() });
  const holder = h("div", { class: "panel" }), told = h("span", { class: "soft", role: "status" });
  let all = [];
  function show() {
    const asked = find.value.trim().toLowerCase(), listed = all.filter(f => !asked || `${f.name} ${f.description || ""}`.toLowerCase().includes(asked));
    told.textContent = count(listed.length, "flow") + (page.status.schedules_on === false ? " · this server runs no schedules" : "");
    fill(holder, listed.length ? flowRows(listed) : all.length ? empty("No flow is called that.")
      : empty("No flows yet. A flow runs models, operations and scripts in order, by hand or on a schedule: see ", h("code", {}, "dex-lua help flows"), "."));
  }
  const load = async () => { all = (await get("flows", {}, signal)).items; show(); };
  fill(root, h("div", { class: "view-head" }, h("h1", {}, "Flows")), h("div", { class: "row filter" }, find, told), holder);
  await load();
  const again = calm(() => load().catch(failed), 1000);
  onEvent(e => { if (e.event === "run" || e.event === "schedule") again(); }, signal);
  signal.addEventListener("abort", again.stop);
}
