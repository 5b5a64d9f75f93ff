// The live page: what stands on every page, and which module draws which address.
import { h, fill, icon, say, setServerTime, failed } from "./dom.js";
import * as api from "./api.js";
import { tokenPage } from "./token.js";
import { shortcuts } from "./keys.js";

// First part of the path -> the module that draws it. Modules are fetched when they are first needed.
const VIEWS = {
  "": () => import("./home.js"),
  lineage: () => import("./lineage.js"),
  nodes: () => import("./node.js"),
  runs: (name => name ? import("./run.js") : import("./runs.js")),
  operations: (name => name ? import("./operation.js") : import("./operations.js")),
  flows: (name => name ? import("./flow.js") : import("./flows.js")),
  history: () => import("./history.js"),
  audit: () => import("./audit.js"),
};
const LINKS = [["/", "Home", "h"], ["/lineage", "Lineage", "l"], ["/runs", "Runs", "r"], ["/operations", "Operations", "o"],
  ["/flows", "Flows", "f"], ["/history", "History", "i"], ["/audit", "Audit", "a"]];

const top = document.getElementById("top"), main = document.getElementById("main");
// What the views are given: the last answer of /api/status, what this viewer may do and how to go elsewhere.
const page = { status: null, go, title, act: null };
let view = null; // the AbortController of the page that is shown

// Actions need the role `run`: the reason why a button is off, or null.
page.act = () => page.status && page.status.role === "run" ? null
  : "Your token may only look (role view). Ask for a token of role run.";

// Theme ----------------------------------------------------------------------------------------------------------

const THEMES = ["auto", "light", "dark"];
function theme(next) {
  const chosen = next || localStorage.getItem("dex-lua.theme") || "auto";
  if (next) localStorage.setItem("dex-lua.theme", next);
  chosen === "auto" ? document.documentElement.removeAttribute("data-theme")
    : document.documentElement.setAttribute("data-theme", chosen);
  dispatchEvent(new Event("themechange"));
  return chosen;
}
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => dispatchEvent(new Event("themechange")));

// The head of every page -----------------------------------------------------------------------------------------

function connectionSign() {
  const text = h("span", {}), sign = h("span", { class: "connection", role: "status" }, h("i", {}), text);
  const show = state => {
    sign.dataset.state = state;
    text.textContent = { live: "live", connecting: "connecting …", reconnecting: "reconnecting …" }[state] || "resting";
  };
  api.onConnection(show);
  show(api.connection());
  return sign;
}

function head() {
  const { project, target, role, who } = page.status;
  const choose = h("button", { type: "button", class: "plain", onclick: () => {
    const now = localStorage.getItem("dex-lua.theme") || "auto";
    label(theme(THEMES[(THEMES.indexOf(now) + 1) % 3]));
  } });
  const label = chosen => {
    choose.textContent = { auto: "◐", light: "☀", dark: "☾" }[chosen];
    choose.title = `Colours: ${chosen}`;
    choose.setAttribute("aria-label", `Colours: ${chosen}. Change`);
  };
  label(localStorage.getItem("dex-lua.theme") || "auto");
  fill(top, h("a", { class: "brand", href: "/", title: "Home" },
    h("img", { src: new URL("icon.svg", import.meta.url).pathname, alt: "", width: 20, height: 20 }), h("b", {}, project || "dex-lua"),
    target ? h("span", { class: "target", title: "Target: where it runs" }, target) : null),
  h("nav", { "aria-label": "Pages" }, LINKS.map(([path, name]) => h("a", { href: path }, name))),
  h("div", { class: "corner" }, connectionSign(),
    h("span", { class: "role", title: `Who: ${who}` }, role === "run" ? who : `${who} · view only`), choose,
    h("button", { type: "button", class: "plain", title: "Keys (?)", "aria-label": "Keys", onclick: () => keys.show() }, "?")));
  mark();
}

function mark() {
  const first = "/" + location.pathname.split("/")[1];
  for (const a of top.querySelectorAll("nav a")) {
    if (a.getAttribute("href") !== first) { a.removeAttribute("aria-current"); continue; }
    a.setAttribute("aria-current", "page");
    // On a telephone the row of pages scrolls.
    const row = a.parentNode;
    row.scrollLeft = Math.max(0, a.offsetLeft - row.offsetLeft - row.clientWidth / 2 + a.offsetWidth / 2);
  }
}

function title(text) { document.title = `${text} · ${page.status.project || "dex-lua"}`; }

// Going places -----------------------------------------------------------------------------------------------------

function go(path, { replace = false } = {}) {
  if (replace) { history.replaceState(null, "", path); return; }
  history.pushState(null, "", path);
  show(true);
}

async function show(moved) {
  if (view) view.abort();
  const mine = view = new AbortController();
  const { load, name } = target();
  mark();
  // The old page stays until the new one has something to show.
  const root = h("div", { class: "view" });
  try {
    if (!load) throw Object.assign(new Error("There is no such page"), { hint: location.pathname });
    const { draw } = await load();
    await draw(root, { name, signal: mine.signal, page, search: new URLSearchParams(location.search) });
  } catch (error) {
    if (mine.signal.aborted || error.name === "AbortError" || error.status === 401) return;
    fill(root, h("div", { class: "problem wide", role: "alert" }, icon("failed"), h("div", {},
      h("h1", {}, error.message), error.place && h("p", { class: "mono" }, error.place), error.hint && h("p", {}, error.hint), h("p", {}, h("a", { href: "/" }, "To the first page")))));
    title("Error");
    if (!(error instanceof api.Failure)) reportError(error);
  }
  if (mine.signal.aborted) return;
  main.replaceChildren(root);
  if (moved) {
    scrollTo(0, 0);
    main.focus({ preventScroll: true });
  }
  root.dispatchEvent(new Event("shown"));
}

document.addEventListener("click", e => {
  const bar = e.target.closest("[data-href]"); // of a plot
  if (bar) return go(bar.dataset.href);
  const a = e.target.closest("a");
  if (!a || e.defaultPrevented || e.button !== 0 || e.metaKey || e.ctrlKey || e.shiftKey || e.altKey) return;
  if (a.origin !== location.origin || a.target || a.hasAttribute("download") || a.classList.contains("skip")) return;
  e.preventDefault();
  if (a.pathname + a.search !== location.pathname + location.search) go(a.pathname + a.search);
  else show(true);
});
addEventListener("popstate", () => show(true));

// Start --------------------------------------------------------------------------------------------------------

const keys = shortcuts(LINKS.map(([path, name, key]) => ({ key: "g " + key, about: name, run: () => go(path) })));

let asking = false;
function ask(wrong) {
  if (asking) return;
  asking = true;
  if (view) view.abort();
  tokenPage(main, top, wrong, async token => {
    api.setToken(token);
    asking = false;
    await start();
  });
}

// Where the address leads: the module that draws it, and the name in it.
function target() {
  const parts = location.pathname.split("/").slice(1);
  // A name may hold slashes: they come percent-encoded, or typed by hand as they are.
  const name = parts.slice(1).map(part => { try { return decodeURIComponent(part); } catch { return part; } }).join("/");
  return { load: VIEWS[parts[0]] && (() => VIEWS[parts[0]](name)), name };
}

async function start() {
  let status;
  target().load?.().catch(() => {}); // fetched meanwhile; what fails here fails again where it is said
  try {
    status = await api.get("status");
  } catch (error) {
    if (error.status === 401) return;
    fill(main, h("div", { class: "problem wide", role: "alert" }, icon("failed"), h("div", {}, h("h1", {}, error.message),
      error.hint && h("p", {}, error.hint), h("button", { type: "button", onclick: start }, "Try again"))));
    return;
  }
  page.status = status;
  setServerTime(status.now);
  head();
  api.follow(status.last_event_id || 0);
  await show(false);
}

let wasLost = false;
api.onConnection(state => {
  if (state === "reconnecting") wasLost = true;
  else if (state === "live" && wasLost) {
    wasLost = false;
    // The server may be a new one: its clock, and what is shown.
    api.get("status").then(status => { page.status = status; setServerTime(status.now); }).catch(failed);
    say("Connected again: nothing was missed.");
  }
});

theme();
api.onRefused(() => ask(true));
if (api.takeToken()) start();
else ask(false);
