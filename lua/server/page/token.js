// Without a token that the server knows there is only this page.
import { h, fill } from "./dom.js";

export function tokenPage(main, top, wrong, enter) {
  document.title = "Token · dex-lua";
  fill(top, h("span", { class: "brand" }, h("b", {}, "dex-lua")));
  const field = h("input", { id: "token", name: "token", type: "password", autocomplete: "current-password", required: true,
    spellcheck: "false", "aria-describedby": "token-about", "aria-invalid": wrong ? "true" : null });
  const form = h("form", { class: "card gate", onsubmit: async e => {
    e.preventDefault();
    submit.disabled = true;
    await enter(field.value);
    submit.disabled = false;
  } },
  h("h1", {}, wrong ? "The server does not know this token" : "This page needs a token"),
  h("p", { id: "token-about" }, "The address that ", h("code", {}, "dex-lua serve"), " shows in its terminal brings it along; it stands in the project's ",
    h("code", {}, ".dex/token"), ", too. For others: ", h("code", {}, "dex-lua serve token add NAME"), "."),
  h("label", { for: "token" }, "Token"), field);
  const submit = h("button", { type: "submit", class: "primary" }, "Enter");
  form.append(submit);
  fill(main, form);
  field.focus();
}
