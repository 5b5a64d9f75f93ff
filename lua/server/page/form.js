// A form made of declared parameters: a field for each, by its type; what it gives is what the API takes.
import { h } from "./dom.js";

const HELP = { date: "a date", timestamp: "a date and time", integer: "a whole number", number: "a number",
  list: "a JSON list, e.g. [1, 2]", mapping: "a JSON mapping, e.g. {\"a\": 1}", any: "JSON, or plain text" };
const shown = v => typeof v === "object" ? JSON.stringify(v) : String(v);
const has = v => v !== null && v !== undefined;

function control(p, id) {
  const common = { id, name: p.name, required: p.required && !has(p.default), "aria-describedby": id + "-about" };
  const secret = p.secret, start = has(p.default) && !secret ? shown(p.default) : "";
  if (p.choices && p.choices.length) {
    const select = h("select", common, !p.required || has(p.default) ? h("option", { value: "" }, has(p.default) && !secret ? `default: ${shown(p.default)}` : "–")
      : h("option", { value: "" }, "choose …"), p.choices.map((c, i) => h("option", { value: i }, shown(c))));
    return [select, () => select.value === "" ? undefined : p.choices[Number(select.value)]];
  }
  if (p.type === "boolean") {
    const select = h("select", common, h("option", { value: "" }, has(p.default) ? `default: ${p.default}` : p.required ? "choose …" : "–"),
      h("option", { value: "true" }, "true"), h("option", { value: "false" }, "false"));
    return [select, () => select.value === "" ? undefined : select.value === "true"];
  }
  if (["list", "mapping", "any"].includes(p.type)) {
    const area = h("textarea", { ...common, rows: 3, placeholder: start, spellcheck: "false" });
    return [area, () => {
      if (area.value.trim() === "") return undefined;
      try { return JSON.parse(area.value); } catch (error) {
        if (p.type === "any") return area.value;
        throw new Error(`${p.name} is no ${p.type}: ${error.message}`);
      }
    }];
  }
  const type = secret ? "password" : { date: "date", timestamp: "datetime-local", integer: "number", number: "number" }[p.type] || "text";
  const field = h("input", { ...common, type, placeholder: start && `default: ${start}`, step: p.type === "number" ? "any" : p.type === "timestamp" ? "1" : null,
    autocomplete: secret ? "new-password" : "off", spellcheck: "false" });
  return [field, () => {
    if (field.value === "") return undefined;
    return p.type === "integer" || p.type === "number" ? Number(field.value) : field.value;
  }];
}

// Gives {element, values()}: values() raises an error that names the field, and marks it.
export function parameterForm(declared, prefix = "p") {
  const readers = [];
  const fields = declared.map((p, i) => {
    const id = `${prefix}-${i}`, [field, read] = control(p, id), fault = h("p", { class: "fault", hidden: true, id: id + "-fault" });
    readers.push([p, field, read, fault]);
    field.addEventListener("input", () => clear(field, fault));
    const about = [p.description, HELP[p.type], p.secret ? "secret: shown nowhere" : null,
      has(p.default) && !p.secret && ["date", "timestamp"].includes(p.type) ? `default: ${shown(p.default)}` : null].filter(Boolean).join(" · ");
    return h("div", { class: "field" }, h("label", { for: id }, p.name, p.required && !has(p.default) ? h("span", { class: "must", title: "required" }, " *") : null,
      h("span", { class: "soft type" }, p.type || "text")), field, h("p", { class: "soft", id: id + "-about" }, about), fault);
  });
  const clear = (field, fault) => { field.removeAttribute("aria-invalid"); fault.hidden = true; };
  function accuse(field, fault, text) {
    field.setAttribute("aria-invalid", "true");
    field.setAttribute("aria-errormessage", fault.id);
    fault.textContent = text;
    fault.hidden = false;
    field.focus();
  }
  return {
    element: h("div", { class: "fields" }, declared.length ? fields : h("p", { class: "soft" }, "It takes no parameters.")),
    values() {
      const found = {};
      for (const [p, field, read, fault] of readers) {
        clear(field, fault);
        try {
          if (field.validity.badInput) throw new Error(`${p.name} must be ${HELP[p.type] || p.type}`);
          const value = read();
          if (value !== undefined) found[p.name] = value;
          else if (field.required) throw new Error(`${p.name} is required`);
        } catch (error) {
          accuse(field, fault, error.message);
          throw error;
        }
      }
      return found;
    },
    // Values of an earlier call; secrets are asked for again.
    set(values) {
      for (const [p, field] of readers) {
        const v = values[p.name];
        if (!has(v) || p.secret) continue;
        field.value = p.choices && p.choices.length ? String(p.choices.findIndex(c => shown(c) === shown(v))) : shown(v);
      }
    },
    // The server's complaint goes to the field that it names. True when there is one.
    blame(error) {
      const found = readers.find(([p]) => new RegExp(`['"\`]${p.name.replace(/\W/g, "\\$&")}['"\`]`).test(error.message));
      if (found) accuse(found[1], found[3], [error.message, error.hint].filter(Boolean).join(": "));
      return Boolean(found);
    },
  };
}
