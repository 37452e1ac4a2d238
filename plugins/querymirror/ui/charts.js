// Small charts, drawn as SVG by hand.
import { count, duration, moment } from "./lib.js";

const NS = "http://www.w3.org/2000/svg";

function svg(name, attributes = {}, ...children) {
  const element = document.createElementNS(NS, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

const moved = (cycle) => cycle.upserted + cycle.deleted;

function words(cycle) {
  const what = { requested: "requested", running: "running", quiet: "quiet, nothing had moved", failed: "failed", changed: "" }[cycle.outcome];
  const rows = `read ${count(cycle.read)}, written ${count(cycle.upserted)}, deleted ${count(cycle.deleted)}${cycle.rejected ? `, refused ${count(cycle.rejected)}` : ""}`;
  return `${moment(cycle.started_at || cycle.queued_at)}: ${what || rows}${cycle.seconds ? `, ${duration(cycle.seconds)}` : ""}`;
}

// the last cycles as bars, newest right; height: rows on a logarithmic scale
export function bars(cycles, slots = 20) {
  const width = 6, gap = 2, height = 28;
  const top = Math.max(1, ...cycles.map((c) => Math.log10(1 + moved(c))));
  const tally = {};
  for (const cycle of cycles) tally[cycle.outcome] = (tally[cycle.outcome] ?? 0) + 1;
  const label = cycles.length ? Object.entries(tally).map(([k, n]) => `${n} ${k}`).join(", ") : "none yet";
  const chart = svg("svg", { class: "bars", preserveAspectRatio: "xMinYMax meet", viewBox: `0 0 ${slots * (width + gap) - gap} ${height}`, role: "img", "aria-label": `Last cycles: ${label}` });
  for (let slot = 0; slot < slots; slot += 1) {
    const cycle = cycles[slots - 1 - slot];
    const x = slot * (width + gap);
    if (!cycle) {
      chart.append(svg("rect", { class: "none", x, y: height - 2, width, height: 2, rx: 1 }));
      continue;
    }
    const full = cycle.outcome === "failed" || cycle.outcome === "running";
    const tall = full ? height : cycle.outcome === "changed" ? 6 + ((height - 6) * Math.log10(1 + moved(cycle))) / top : 4;
    const bar = svg("rect", { class: cycle.outcome, x, y: height - tall, width, height: tall, rx: 1.5 });
    bar.append(svg("title", {}, words(cycle)));
    chart.append(bar);
  }
  return chart;
}

// horizontal bars: [label, seconds, state]
export function taskBars(tasks) {
  const longest = Math.max(0.001, ...tasks.map((task) => task.seconds));
  const line = 24, label = 118, room = 200;
  const chart = svg("svg", { class: "tasks", viewBox: `0 0 ${label + room + 92} ${Math.max(1, tasks.length) * line}`, role: "img", "aria-label": "Time per task" });
  tasks.forEach((task, index) => {
    const y = index * line;
    const width = Math.max(2, (room * task.seconds) / longest);
    const parts = task.parts > 1 ? ` ×${task.parts}` : "";
    const tries = task.tries > 1 ? ` (try ${task.tries})` : "";
    chart.append(
      svg("text", { x: label - 8, y: y + 16, "text-anchor": "end" }, task.task),
      svg("rect", { class: `task ${task.state}`, x: label, y: y + 5, width, height: 14, rx: 3 }, svg("title", {}, `${task.task}: ${task.state}, ${duration(task.seconds)}`)),
      svg("text", { x: label + width + 6, y: y + 16 }, `${task.seconds ? duration(task.seconds) : task.state}${parts}${tries}`),
    );
  });
  return chart;
}

// rows written per run as bars, and above them how old the data were when the run made them new
export function history(runs) {
  const ended = runs.filter((run) => run.ended_at).reverse();
  const width = 640, left = 46, right = 10, rowsTop = 96, rowsHeight = 70, lagTop = 12, lagHeight = 62;
  const chart = svg("svg", { class: "history", viewBox: `0 0 ${width} ${rowsTop + rowsHeight + 22}`, role: "img", "aria-label": "Lag and rows per run" });
  if (ended.length < 2) return null;
  const first = Date.parse(ended[0].started_at), last = Date.parse(ended.at(-1).ended_at);
  const x = (iso) => left + ((width - left - right) * (Date.parse(iso) - first)) / Math.max(1, last - first);
  const lags = lagPoints(ended);
  const highest = Math.max(1, ...lags.map((point) => point.lag));
  const most = Math.max(1, ...ended.map(moved));
  const yLag = (lag) => lagTop + lagHeight - (lagHeight * lag) / highest;
  axis(chart, lagTop, lagHeight, left, width - right, duration(highest), "lag");
  axis(chart, rowsTop, rowsHeight, left, width - right, count(most), "rows");
  const path = lags.map((point, i) => `${i ? "L" : "M"}${x(point.at).toFixed(1)},${yLag(point.lag).toFixed(1)}`).join("");
  if (path) chart.append(svg("path", { class: "lag", d: path }));
  const thick = Math.max(2, Math.min(7, (width - left - right) / ended.length - 2));
  for (const run of ended) {
    const tall = run.outcome === "failed" ? rowsHeight : run.outcome === "quiet" ? 2 : Math.max(4, (rowsHeight * moved(run)) / most);
    const at = Math.min(width - right - thick, Math.max(left, x(run.started_at) - thick / 2));
    const bar = svg("rect", { class: run.outcome, x: at, y: rowsTop + rowsHeight - tall, width: thick, height: tall, rx: 1.5 });
    bar.append(svg("title", {}, words(run)));
    chart.append(bar);
  }
  const base = rowsTop + rowsHeight + 16;
  chart.append(
    svg("text", { x: left, y: base }, shortTime(ended[0].started_at)),
    svg("text", { x: width - right, y: base, "text-anchor": "end" }, shortTime(ended.at(-1).ended_at)),
  );
  return chart;
}

// a sawtooth: the lag grows until a run ends well, then falls to what that run took
function lagPoints(ended) {
  const points = [];
  let fresh = null;
  for (const run of ended) {
    if (run.outcome === "failed" || run.window) continue;
    const end = Date.parse(run.ended_at);
    if (fresh !== null) points.push({ at: run.ended_at, lag: (end - fresh) / 1000 });
    fresh = Date.parse(run.started_at);
    points.push({ at: run.ended_at, lag: (end - fresh) / 1000 });
  }
  return points;
}

function axis(chart, top, height, left, right, label, name) {
  chart.append(
    svg("line", { class: "axis", x1: left, x2: right, y1: top + height, y2: top + height }),
    svg("line", { class: "grid", x1: left, x2: right, y1: top, y2: top }),
    svg("text", { x: left - 6, y: top + 4, "text-anchor": "end" }, label),
    svg("text", { x: left - 6, y: top + height, "text-anchor": "end" }, "0"),
    svg("text", { class: "name", x: left + 2, y: top - 3 }, name),
  );
}

const time = new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit" });
const shortTime = (iso) => time.format(new Date(iso));
