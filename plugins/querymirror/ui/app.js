// The page: asks for the list, keeps its rows, and does what the buttons say.
import { showDetail } from "./detail.js";
import { confirm, openForm, showPlan } from "./form.js";
import { ApiError, api, count, duration, errorBox, h, learnClock, secondsSince, toast } from "./lib.js";
import { Row } from "./list.js";
import { followTheme } from "./theme.js";

const EVERY = 4000; // milliseconds between two looks
const list = document.getElementById("list");
const sum = document.getElementById("sum");
const notice = document.getElementById("notice");
const filter = document.getElementById("filter");
const only = document.getElementById("only");
const add = document.getElementById("add");

const rows = new Map();
const state = { etag: "", data: null, heard: 0, timer: 0, counting: false, wanted: new Set() };
const dialog = document.getElementById("dialog");

const actions = {
  toggle,
  mayWrite: () => !state.data?.read_only,
  run: (id, body = {}) => act(`pipelines/${encodeURIComponent(id)}/run`, { method: "POST", body }, () => `${id}: a run was requested.`),
  pause: (id, paused) => act(`pipelines/${encodeURIComponent(id)}/${paused ? "pause" : "resume"}`, { method: "POST" }),
  plan: showPlan,
  edit: (detail) => openForm(detail, changed),
  async reset(id) {
    const sure = await confirm(`Start ${id} over?`, "Its state is forgotten; the next cycle reads the whole query and puts the target right. Readers keep what is there until then.", "Start over");
    if (sure) act(`pipelines/${encodeURIComponent(id)}/reset`, { method: "POST" });
  },
  async remove(detail) {
    const { id } = detail.pipeline;
    const sure = await confirm(`Remove ${id}?`, `${detail.file} is deleted and its DAG goes. The target and its rows stay.`, "Remove");
    if (sure) act(`pipelines/${encodeURIComponent(id)}`, { method: "DELETE", headers: { "If-Match": detail.etag } });
  },
  async rejects(id, verb, keys) {
    const path = `pipelines/${encodeURIComponent(id)}/rejects${verb === "replay" ? "/replay" : ""}`;
    const told = verb === "replay" ? (done) => `${id}: ${count(done.written)} written, ${count(done.refused)} refused again.` : undefined;
    await act(path, { method: verb === "replay" ? "POST" : "DELETE", body: { keys } }, told);
    rows.get(id)?.body.lazy?.rejects.load();
  },
};

async function act(path, options, told) {
  try {
    const { data } = await api(path, options);
    toast(told ? told(data) : data.done);
  } catch (error) {
    toast(`${error.body.what} ${error.body.fix}`, "bad");
  }
  await look();
  refreshOpen();
}

function changed(id) {
  toast(`${id} was saved; Airflow reads it within seconds.`);
  look().then(refreshOpen);
}

async function look() {
  clearTimeout(state.timer);
  try {
    const { data, answer, unchanged } = await api("pipelines", { headers: state.etag ? { "If-None-Match": state.etag } : {} });
    learnClock(answer);
    state.heard = Date.now();
    notice.hidden = true;
    if (!unchanged) {
      state.etag = answer.headers.get("etag") ?? "";
      state.data = data;
      draw();
    }
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    complain(error);
  } finally {
    state.timer = setTimeout(look, document.hidden ? EVERY * 5 : EVERY);
  }
  for (const row of rows.values()) row.tick();
}

// an answer that did not come: what is known stays on the screen, and says how old it is
function complain(error) {
  const since = state.heard ? ` What you see is ${duration((Date.now() - state.heard) / 1000)} old.` : "";
  notice.replaceChildren(h("b", {}, error.body.what), ` ${error.body.fix}${since}`);
  notice.hidden = false;
  if (state.data) return;
  list.setAttribute("aria-busy", "false");
  list.replaceChildren(errorBox(error.body));
}

function draw() {
  const { pipelines, may_create: mayCreate, read_only: readOnly } = state.data;
  list.setAttribute("aria-busy", "false");
  add.hidden = !mayCreate || readOnly;
  if (!rows.size) list.replaceChildren();
  const known = new Set(pipelines.map((data) => data.id));
  for (const [id, row] of rows) {
    if (known.has(id)) continue;
    row.element.remove();
    rows.delete(id);
  }
  const order = [];
  for (const data of pipelines) {
    let row = rows.get(data.id);
    if (!row) {
      row = new Row(data.id, actions);
      rows.set(data.id, row);
      watcher.observe(row.element);
    }
    row.update(data);
    order.push(row.element);
  }
  arrange(order);
  drawSum(pipelines);
  drawEmpty(pipelines, mayCreate && !readOnly);
  sift();
}

// moves elements only where the order changed, so that focus and scroll stay
function arrange(order) {
  let at = list.firstElementChild;
  for (const element of order) {
    if (element === at) at = at.nextElementSibling;
    else list.insertBefore(element, at);
  }
  while (at) {
    const next = at.nextElementSibling;
    if (!at.dataset.id) at.remove();
    at = next;
  }
}

function drawSum(pipelines) {
  const tally = new Map();
  for (const { state: name } of pipelines) tally.set(name, (tally.get(name) ?? 0) + 1);
  const bad = pipelines.filter((row) => row.health.level === "bad").length;
  const oldest = Math.max(0, ...pipelines.filter((row) => !row.paused).map((row) => secondsSince(row.fresh_at) ?? 0));
  const words = [bad ? `${bad} need${bad === 1 ? "s" : ""} attention` : pipelines.length ? "all well" : "", `${pipelines.length} pipeline${pipelines.length === 1 ? "" : "s"}`];
  sum.replaceChildren(h("span", { class: bad ? "bad" : "good" }, words[0]), ` ${words[0] ? "· " : ""}${words[1]}${oldest ? ` · oldest data ${duration(oldest)}` : ""}`);
  const chosen = only.value;
  only.replaceChildren(h("option", { value: "" }, `All (${pipelines.length})`), ...[...tally].map(([name, n]) => h("option", { value: name }, `${name} (${n})`)));
  only.value = tally.has(chosen) ? chosen : "";
}

function drawEmpty(pipelines, mayAdd) {
  if (pipelines.length) return;
  list.replaceChildren(
    h(
      "div",
      { class: "empty" },
      h("h2", {}, "No pipelines yet"),
      h("p", {}, "A pipeline keeps a table or an index equal to a query. It is one YAML file in include/jobs: put one there, or write it here."),
      mayAdd ? h("button", { class: "primary", onclick: () => openForm(null, changed) }, "Add the first pipeline") : h("p", { class: "faint" }, "You may not add one here."),
    ),
  );
}

function sift() {
  const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0;
  for (const row of rows.values()) {
    const { data } = row;
    const text = `${data.id} ${data.description} ${data.tags.join(" ")} ${data.target} ${data.source} ${data.owner}`.toLowerCase();
    const fits = (!only.value || data.state === only.value) && words.every((word) => text.includes(word));
    if (row.element.hidden === fits) row.element.hidden = !fits; // writing what is there has the browser look at it again
    shown += fits;
  }
  const none = document.getElementById("none");
  none?.remove();
  if (!shown && rows.size) list.append(h("p", { id: "none", class: "empty" }, "No pipeline fits the filter."));
}

function toggle(id) {
  const row = rows.get(id);
  const open = row.body.hidden;
  row.body.hidden = !open;
  row.element.classList.toggle("open", open);
  row.parts.name.setAttribute("aria-expanded", String(open));
  if (open) {
    row.body.replaceChildren();
    showDetail(row.body, id, actions);
  }
  history.replaceState(null, "", open ? `#${encodeURIComponent(id)}` : location.pathname);
}

function refreshOpen() {
  for (const row of rows.values()) if (!row.body.hidden && !row.body.contains(document.activeElement)) showDetail(row.body, row.id, actions);
}

// counts cost both servers a query, so only what is on the screen is counted, one after the other
const watcher = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    if (isIntersecting) state.wanted.add(target.dataset.id);
    else state.wanted.delete(target.dataset.id);
  }
  countNext();
});

async function countNext() {
  if (state.counting || document.hidden) return;
  const id = [...state.wanted].find((name) => isStale(rows.get(name)?.data));
  if (!id) return;
  state.counting = true;
  try {
    const { data } = await api(`pipelines/${encodeURIComponent(id)}/counts`);
    const row = rows.get(id);
    if (row) row.update({ ...row.data, counts: data });
  } catch (error) {
    state.wanted.delete(id);
  } finally {
    state.counting = false;
  }
  countNext();
}

function isStale(data) {
  if (!data?.target || !data.fresh_at) return false;
  if (!data.counts) return true;
  return secondsSince(data.counts.at) > 300 || (data.last?.outcome === "changed" && data.last.ended_at > data.counts.at);
}

function keys(event) {
  if (event.target.matches("input, textarea, select") || dialog.open) {
    if (event.key === "Escape" && event.target === filter) filter.blur();
    return;
  }
  const shown = [...rows.values()].map((row) => row.element).filter((element) => !element.hidden).sort((a, b) => (a.compareDocumentPosition(b) & 4 ? -1 : 1));
  const at = shown.findIndex((element) => element.contains(document.activeElement));
  const go = (index) => {
    event.preventDefault();
    shown[Math.max(0, Math.min(shown.length - 1, index))]?.querySelector(".name").focus();
  };
  if (event.key === "/") {
    event.preventDefault();
    filter.focus();
  } else if (event.key === "ArrowDown" || event.key === "j") go(at + 1);
  else if (event.key === "ArrowUp" || event.key === "k") go(at - 1);
  else if (event.key === "Escape" && at >= 0 && !rows.get(shown[at].dataset.id).body.hidden) toggle(shown[at].dataset.id);
}

followTheme();
filter.addEventListener("input", sift);
only.addEventListener("change", sift);
add.addEventListener("click", () => openForm(null, changed));
document.addEventListener("keydown", keys);
document.addEventListener("visibilitychange", () => document.hidden || look());
setInterval(countNext, EVERY);
setInterval(refreshOpen, EVERY * 4);
look().then(() => {
  const id = decodeURIComponent(location.hash.slice(1));
  if (rows.has(id)) toggle(id);
});
