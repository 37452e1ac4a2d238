// One row a pipeline: made once, changed only where it changed.
import { bars } from "./charts.js";
import { ago, airflowLink, count, duration, exact, h, moment, secondsSince, until } from "./lib.js";

const WORDS = { idle: "idle", requested: "requested", running: "running", paused: "paused", failed: "failed", behind: "behind", "never run": "never run" };

export class Row {
  constructor(id, actions) {
    this.id = id;
    this.actions = actions;
    this.seen = "";
    this.open = null;
    this.parts = {
      name: h("button", { class: "name", "aria-expanded": "false", "aria-controls": `detail-${id}`, onclick: () => actions.toggle(id) }, h("span", { class: "dot" }), h("span", { class: "id" }, id)),
      words: h("div", { class: "words" }),
      state: h("div", { class: "cell state" }),
      lag: h("div", { class: "cell lag" }),
      last: h("div", { class: "cell moved" }),
      counts: h("div", { class: "cell counts" }),
      bars: h("div", { class: "cell cycles" }),
      next: h("div", { class: "cell next" }),
      buttons: h("div", { class: "cell buttons" }),
      said: h("div", { class: "cell said", hidden: true }),
    };
    const { name, words, ...rest } = this.parts;
    this.head = h("div", { class: "head" }, h("div", { class: "cell what" }, name, words), ...Object.values(rest));
    this.body = h("div", { class: "detail", id: `detail-${id}`, hidden: true });
    this.element = h("section", { class: "row", "aria-label": id, "data-id": id }, this.head, this.body);
  }

  update(data) {
    const text = JSON.stringify({ ...data, lag_seconds: 0 });
    this.data = data;
    if (text !== this.seen) {
      this.seen = text;
      this.draw(data);
    }
    this.tick();
  }

  draw(data) {
    const { parts } = this;
    this.element.dataset.level = data.health.level;
    this.element.dataset.state = data.state;
    const error = data.error ? h("div", { class: "short-error", title: `${data.error.what} ${data.error.fix}` }, data.error.what, data.error.fix ? h("span", { class: "fix" }, ` ${data.error.fix}`) : null) : null;
    const target = data.target.split(" · ").at(-1);
    parts.words.replaceChildren(h("div", { class: "health" }, data.health.text), target ? h("small", { class: "to", title: `${data.source} → ${data.target}\n${data.description}` }, `→ ${target}`) : "");
    parts.said.replaceChildren(error ?? "");
    parts.said.hidden = !error;
    parts.state.replaceChildren(h("span", { class: `pill ${data.state.replace(" ", "-")}` }, WORDS[data.state]));
    parts.last.replaceChildren(movedLine(data.last, "last cycle"), movedLine(data.day, "24 h"));
    parts.counts.replaceChildren(data.fresh_at || data.counts ? countsLine(data.counts) : h("span", { class: "faint" }, "–"));
    parts.bars.replaceChildren(bars(data.cycles));
    parts.buttons.replaceChildren(...this.buttons(data));
  }

  buttons(data) {
    const { actions, id } = this;
    const dag = airflowLink(`dags/${encodeURIComponent(id)}`, "DAG", { class: "button", title: "Open the DAG in Airflow" });
    if (!data.may_edit || !data.target) return [dag];
    const busy = data.state === "requested";
    const run = h("button", { disabled: busy || data.paused, title: data.paused ? "Resume it first" : "Run a cycle now", onclick: () => actions.run(id) }, "Run now");
    const pause = h("button", { onclick: () => actions.pause(id, !data.paused) }, data.paused ? "Resume" : "Pause");
    return [run, pause, dag];
  }

  // what moves with time alone
  tick() {
    const { data, parts } = this;
    const lag = secondsSince(data.fresh_at);
    const title = data.fresh_at ? `The target is the source as of ${moment(data.fresh_at)}` : "The target was never filled";
    tell(parts.lag, lag === null ? "–" : duration(lag), "lag of the data", title);
    const last = data.last?.ended_at ? `last ${ago(data.last.ended_at)}` : "no run yet";
    tell(parts.next, data.paused ? "paused" : data.schedule ? until(data.next_run) : "by hand", last);
  }
}

// a number over its label; written only where it changed, for the browser lays out anew what is written
function tell(cell, number, label, title = "") {
  const told = `${number}\n${label}\n${title}`;
  if (cell.told === told) return;
  cell.told = told;
  cell.replaceChildren(h("b", { title }, number), h("small", {}, label));
}

function movedLine(rows, label) {
  if (!rows) return h("div", { class: "line" }, h("small", {}, label), h("span", { class: "faint" }, "nothing yet"));
  const wrong = rows.rejected ? h("span", { class: "refused", title: "refused by the target" }, `⚠ ${count(rows.rejected)}`) : null;
  return h(
    "div",
    { class: "line", title: `${label}: read ${exact(rows.read)}, written ${exact(rows.upserted)}, unchanged ${exact(rows.unchanged)}, deleted ${exact(rows.deleted)}` },
    h("small", {}, label),
    h("span", { class: "in" }, `${count(rows.read)} in`),
    h("span", { class: "out" }, `${count(rows.upserted)} out`),
    rows.deleted ? h("span", { class: "gone" }, `−${count(rows.deleted)}`) : null,
    wrong,
  );
}

export function countsLine(counts) {
  if (!counts) return h("span", { class: "faint", title: "Counted when the row is seen" }, "…");
  if (counts.source === null || counts.target === null) return h("span", { class: "faint", title: counts.error }, "not counted");
  const same = counts.source === counts.target;
  const title = `${exact(counts.source)} rows in the query, ${exact(counts.target)} in the target, counted ${ago(counts.at)}`;
  return h("div", { title }, h("b", {}, `${count(counts.source)} ${same ? "=" : "≠"} ${count(counts.target)}`), h("small", {}, same ? "source = target" : "source and target"));
}
