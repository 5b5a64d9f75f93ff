// Rows as a table, of a preview and of an operation's result; and whatever else an operation returned.
import { h, count, empty } from "./dom.js";
import { code } from "./code.js";

const cell = v => v === null || v === undefined ? h("span", { class: "null" }, "null")
  : typeof v === "object" ? JSON.stringify(v) : String(v);

// Numbers stand at the right, however they were sent.
function isNumeric(values) {
  const known = values.filter(v => v !== null);
  return known.length > 0 && known.every(v => typeof v === "number" || typeof v === "string" && /^-?\d+(\.\d+)?$/.test(v));
}

// {columns: names or {name, type}, rows: [[...]], count}
export function resultTable(result, caption = "Result") {
  const columns = (result.columns || []).map(c => typeof c === "string" ? { name: c } : c);
  if (!columns.length) return empty("No columns.");
  const right = columns.map((c, i) => isNumeric(result.rows.map(r => r[i])) || /^(int|bigint|smallint|numeric|real|double|float)/.test(c.type || ""));
  return h("div", {}, h("div", { class: "scroll result", tabindex: "0", role: "region", "aria-label": caption },
    h("table", {}, h("caption", { class: "hidden" }, caption),
      h("thead", {}, h("tr", {}, columns.map((c, i) => h("th", { scope: "col", class: right[i] ? "num right" : null, title: c.type }, c.name,
        c.type ? h("small", {}, c.type) : null)))),
      h("tbody", {}, result.rows.map(row => h("tr", {}, row.map((v, i) => h("td", { class: right[i] ? "num right" : null }, cell(v)))))))),
  h("p", { class: "soft pad" }, result.more ? `the first ${count(result.rows.length, "row")}` : result.count > result.rows.length ? `${result.rows.length} of ${count(result.count, "row")}`
    : count(result.rows.length, "row")));
}

// What an operation gave back: result sets, and its return value.
export function resultOf(result) {
  if (result === null || result === undefined) return null;
  const parts = [];
  const sets = Array.isArray(result.rows) ? (result.rows.length && result.rows[0] && result.rows[0].columns ? result.rows
    : result.columns ? [result] : []) : [];
  sets.forEach((one, i) => parts.push(resultTable(one, sets.length > 1 ? `Result ${i + 1}` : "Result")));
  const returned = "returned" in Object(result) ? result.returned : sets.length ? null : result;
  if (returned !== null && returned !== undefined)
    parts.push(typeof returned === "object" ? code(JSON.stringify(returned, null, 2), "python", { label: "Returned" })
      : h("p", { class: "pad" }, h("code", {}, String(returned))));
  return parts.length ? parts : null;
}
