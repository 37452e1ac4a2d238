// What every part of the page uses: elements, requests, words for numbers and times.

export class ApiError extends Error {
  constructor(status, body) {
    super(body.what);
    this.status = status;
    this.body = body;
  }
}

// h("button", {class: "x", onclick: f}, "text", child): text is never read as HTML
export function h(name, props = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key in element && key !== "list" && key !== "form") element[key] = value;
    else element.setAttribute(key, value === true ? "" : value);
  }
  if (props.class) element.className = props.class;
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

export async function api(path, { method = "GET", body, yaml, headers = {} } = {}) {
  const options = { method, headers: { Accept: "application/json", ...headers } };
  if (body !== undefined) {
    options.body = JSON.stringify(body);
    options.headers["Content-Type"] = "application/json";
  }
  if (yaml !== undefined) {
    options.body = yaml;
    options.headers["Content-Type"] = "application/yaml";
  }
  let answer;
  try {
    answer = await fetch(`api/${path}`, options);
  } catch {
    throw new ApiError(0, { what: "Airflow does not answer.", where: "", fix: "This page tries again by itself.", code: "offline" });
  }
  if (answer.status === 304) return { unchanged: true, answer };
  const data = await answer.json().catch(() => ({}));
  if (!answer.ok) {
    const unknown = { what: `Airflow answered ${answer.status}.`, where: "", fix: "Try again.", code: "failed" };
    throw new ApiError(answer.status, data.what ? data : unknown);
  }
  return { data, answer };
}

const whole = new Intl.NumberFormat("en");
const compact = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

export function count(number) {
  if (number === null || number === undefined) return "–";
  return number < 10_000 ? whole.format(number) : compact.format(number);
}

export const exact = (number) => (number === null || number === undefined ? "unknown" : whole.format(number));

export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86_400)} days`;
}

// the server's clock, so that ages are right on a machine whose clock is not
let skew = 0;
export function learnClock(answer) {
  const date = Date.parse(answer.headers.get("date") ?? "");
  if (!Number.isNaN(date) && Math.abs(date - Date.now()) > 2000) skew = date - Date.now();
}
export const now = () => Date.now() + skew;
export const secondsSince = (iso) => (iso ? Math.max(0, (now() - Date.parse(iso)) / 1000) : null);
export function ago(iso) {
  const seconds = secondsSince(iso);
  if (seconds === null || Number.isNaN(seconds)) return iso || "never";
  return seconds < 3 ? "just now" : `${duration(seconds)} ago`;
}

export function until(iso) {
  if (!iso) return "–";
  const seconds = (Date.parse(iso) - now()) / 1000;
  return seconds <= 1 ? "due" : `in ${duration(seconds)}`;
}

const clock = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
export function moment(iso) {
  if (!iso) return "–";
  return Number.isNaN(Date.parse(iso)) ? iso : clock.format(new Date(iso));
}

export function toast(text, kind = "good") {
  const box = h("div", { class: `toast ${kind}` }, text);
  document.getElementById("toasts").append(box);
  setTimeout(() => box.remove(), kind === "bad" ? 9000 : 4500);
}

export function errorBox(body, extra) {
  return h(
    "div",
    { class: "error" },
    h("p", { class: "what" }, body.where ? h("code", {}, body.where) : null, body.where ? " " : null, body.what),
    body.fix ? h("p", { class: "fix" }, body.fix) : null,
    extra,
  );
}

// Airflow's pages: a plain link alone; in its frame, which may not leave, the frame's owner goes there
export function airflowLink(path, text, props = {}) {
  const href = new URL(`../${path}`, location.href).pathname;
  const open = (event) => {
    if (window.parent === window || event.metaKey || event.ctrlKey) return;
    event.preventDefault();
    window.parent.history.pushState({}, "", href);
    window.parent.dispatchEvent(new PopStateEvent("popstate", { state: {} }));
  };
  return h("a", { href, onclick: open, ...props }, text);
}
