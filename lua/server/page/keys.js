// Keys: two strokes to a page, one for the search, and a list of all of them.
import { h } from "./dom.js";

const typing = element => /^(INPUT|SELECT|TEXTAREA)$/.test(element.tagName) || element.isContentEditable;

// `list`: {key: "g h" or "?", about, run}. Gives {show}: the dialog that explains them.
export function shortcuts(list) {
  const all = [...list, { key: "/", about: "Search on this page", run: search },
    { key: "?", about: "This list", run: show }];
  let first = null, timer = null;
  const dialog = h("dialog", { class: "keys", "aria-labelledby": "keys-title" },
    h("h2", { id: "keys-title" }, "Keys"),
    h("dl", {}, all.map(one => [h("dt", {}, one.key.split(" ").map(k => h("kbd", {}, k))), h("dd", {}, one.about)])),
    h("p", { class: "soft" }, "In pictures of graphs: arrows go along the edges, Enter opens, + and − zoom, 0 shows all."),
    h("form", { method: "dialog" }, h("button", { class: "primary" }, "Close")));
  document.body.append(dialog);

  function show() { if (!dialog.open) dialog.showModal(); }
  function search() {
    const field = document.querySelector("main input[placeholder*='press /']") || document.querySelector("main input[type=search]");
    if (field) field.focus();
  }
  document.addEventListener("keydown", e => {
    if (e.ctrlKey || e.metaKey || e.altKey || typing(e.target) || document.querySelector("dialog[open]")) return;
    const stroke = first ? first + " " + e.key : e.key;
    const found = all.find(one => one.key === stroke);
    clearTimeout(timer);
    first = null;
    if (found) {
      e.preventDefault();
      found.run();
    } else if (all.some(one => one.key.startsWith(e.key + " "))) {
      first = e.key;
      timer = setTimeout(() => { first = null; }, 1500);
    }
  });
  return { show };
}

// Asks before something is done. Gives true when the answer is yes.
export function confirmed(question, { detail, yes = "Run", danger = false } = {}) {
  return new Promise(resolve => {
    const dialog = h("dialog", { "aria-labelledby": "ask-title" }, h("h2", { id: "ask-title" }, question), detail && h("p", {}, detail),
      h("form", { method: "dialog", class: "row end" }, h("button", { value: "no" }, "Cancel"),
        h("button", { value: "yes", class: danger ? "danger" : "primary" }, yes)));
    dialog.addEventListener("close", () => { dialog.remove(); resolve(dialog.returnValue === "yes"); });
    document.body.append(dialog);
    dialog.showModal();
  });
}
