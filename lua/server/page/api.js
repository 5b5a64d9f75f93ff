// The server: requests with the token, and the stream of events, which is taken up again where it broke off.

const KEY = "dex-lua.token";
let token = "";

// The token comes in the fragment of the address once, which no server and no log sees, and leaves it at once.
export function takeToken() {
  const given = /[#&]token=([^&]+)/.exec(location.hash);
  if (given) {
    setToken(decodeURIComponent(given[1]));
    history.replaceState(history.state, "", location.pathname + location.search);
  } else token = sessionStorage.getItem(KEY) || "";
  return token !== "";
}
export function setToken(text) {
  token = text.trim();
  token ? sessionStorage.setItem(KEY, token) : sessionStorage.removeItem(KEY);
}

export class Failure extends Error {
  constructor(message, { code, hint, status, place } = {}) {
    super(message);
    Object.assign(this, { code, hint, status, place }); // place: the file, and the line in it
  }
}

let refused = () => {};
export const onRefused = fn => { refused = fn; };

async function failure(answer) {
  let told = {};
  try { told = (await answer.json()).error || {}; } catch { /* not from the API: a proxy's own page */ }
  return new Failure(told.message || `The server answers ${answer.status} ${answer.statusText}`,
    { code: told.code, hint: told.hint, status: answer.status,
      place: told.file && told.file + (told.line ? ":" + told.line : "") });
}

async function request(method, path, body, signal) {
  let answer;
  try {
    answer = await fetch("/api/" + path, { method, signal, cache: "no-store", credentials: "omit",
      headers: { Authorization: "Bearer " + token, ...(body === undefined ? {} : { "Content-Type": "application/json" }) },
      body: body === undefined ? undefined : JSON.stringify(body) });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Failure("The server cannot be reached", { hint: "is `dex-lua serve` still running?" });
  }
  if (answer.status === 401) refused();
  if (!answer.ok) throw await failure(answer);
  return answer.status === 204 ? null : answer.json();
}

// query({limit: 5, name: null}) -> "?limit=5"
export function query(values) {
  const parts = Object.entries(values).filter(([, v]) => v !== null && v !== undefined && v !== "")
    .map(([k, v]) => `${k}=${encodeURIComponent(v)}`);
  return parts.length ? "?" + parts.join("&") : "";
}

export const get = (path, values, signal) => request("GET", path + query(values || {}), undefined, signal);
export const post = (path, body) => request("POST", path, body || {});

// Instead of a list: a project that cannot be loaded has no flows to show; its runs are there all the same.
export function none(error) {
  if (error.name === "AbortError" || error.status === 401) throw error;
  return { items: [], error };
}

// Events ---------------------------------------------------------------------------------------------------------

const listeners = new Set(), watchers = new Set();
let last = null, state = "connecting", retry = 0, timer = null, current = null;

export const connection = () => state;
export function onEvent(fn, signal) {
  listeners.add(fn);
  signal.addEventListener("abort", () => listeners.delete(fn));
}
export const onConnection = fn => { watchers.add(fn); };

function become(next) {
  if (state === next) return;
  state = next;
  for (const fn of watchers) fn(state);
}

// One event of the stream: lines "id: 7", "event: task", "data: {...}".
function deliver(block) {
  let id = null, kind = "message", data = "";
  for (const line of block.split("\n")) {
    const colon = line.indexOf(":");
    if (colon === 0) continue; // a comment: the server says that it is there
    const key = colon < 0 ? line : line.slice(0, colon), text = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (key === "id") id = text;
    else if (key === "event") kind = text;
    else if (key === "data") data += (data && "\n") + text;
  }
  if (id !== null) last = id;
  if (!data) return;
  const event = { ...JSON.parse(data), event: kind };
  for (const fn of [...listeners]) {
    // One view's mistake is not the end of the stream.
    try { fn(event); } catch (error) { reportError(error); }
  }
}

async function read() {
  const abort = current = new AbortController();
  const answer = await fetch("/api/events" + query({ after: last }), { signal: abort.signal, cache: "no-store",
    credentials: "omit", headers: { Authorization: "Bearer " + token, Accept: "text/event-stream",
      ...(last === null ? {} : { "Last-Event-ID": last }) } });
  if (answer.status === 401) { refused(); return false; }
  if (!answer.ok) throw await failure(answer);
  become("live");
  retry = 0;
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return true;
    rest = (rest + value).replace(/\r\n?/g, "\n");
    let end;
    while ((end = rest.indexOf("\n\n")) >= 0) {
      deliver(rest.slice(0, end));
      rest = rest.slice(end + 2);
    }
  }
}

// Reads events from number `after` on, for as long as the page is seen.
export async function follow(after) {
  if (last === null) last = String(after);
  clearTimeout(timer);
  if (current) current.abort();
  try {
    if (!await read()) return;
  } catch (error) {
    if (error.name === "AbortError") return;
  }
  become("reconnecting");
  timer = setTimeout(() => follow(after), Math.min(10000, 250 * 2 ** retry++) * (0.7 + 0.6 * Math.random()));
}

function hurry() {
  if (state === "live" || last === null) return;
  retry = 0;
  follow(last);
}
addEventListener("online", hurry);

// A browser has six connections to a server, for all its tabs. One that nobody sees gives its own back after a while;
// what happened meanwhile is replayed when it is seen again.
const UNSEEN = 30000;
let resting = null;
document.addEventListener("visibilitychange", () => {
  clearTimeout(resting);
  if (!document.hidden) return hurry();
  resting = setTimeout(rest, UNSEEN);
});
function rest() {
  clearTimeout(timer);
  if (current) current.abort();
  become("resting");
}
// A page that was left may be kept by the browser, with its connections, for the back button.
addEventListener("pagehide", rest);
addEventListener("pageshow", e => { if (e.persisted) hurry(); });
