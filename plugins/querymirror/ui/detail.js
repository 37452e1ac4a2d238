// What a row shows when it is open.
import { history, taskBars } from "./charts.js";
import { ago, api, count, errorBox, h, moment, toast } from "./lib.js";

export async function showDetail(box, id, actions) {
  if (!box.firstChild) box.replaceChildren(h("p", { class: "faint" }, "Loading…"));
  let detail;
  try {
    detail = (await api(`pipelines/${encodeURIComponent(id)}`)).data;
  } catch (error) {
    box.replaceChildren(errorBox(error.body));
    return;
  }
  const keep = box.querySelector(".lazy-box") ? box.lazy : null;
  box.lazy = keep ?? { schema: lazy(id, "schema", drawSchema), rejects: lazy(id, "rejects", (data) => drawRejects(id, data, actions, detail)) };
  const error = detail.pipeline.error;
  box.replaceChildren(
    ...[
      detail.problems.length ? problems(detail) : error ? errorBox(error) : null,
      detail.pipeline.may_edit && detail.spec ? actionBar(id, actions) : null,
      h("div", { class: "cards" }, ...cards(detail, box.lazy)),
      spec(detail, actions),
    ].filter(Boolean),
  );
}

function card(title, ...children) {
  return h("section", { class: "card" }, h("h3", {}, title), ...children);
}

function cards(detail, loaded) {
  if (!detail.spec) return [];
  const chart = history(detail.runs);
  return [
    h("section", { class: chart ? "card wide" : "card" }, h("h3", {}, "Lag and rows over time"), chart ? h("div", { class: "scroll" }, chart) : h("p", { class: "faint" }, "A chart appears after two runs.")),
    card("Cursor and windows", cursor(detail)),
    card("Time per task", detail.tasks.length ? taskBars(detail.tasks) : h("p", { class: "faint" }, "No run yet."), detail.tasks_of ? h("small", {}, detail.tasks_of) : null),
    card("Columns and drift", loaded.schema),
    card("Refused rows", loaded.rejects),
  ];
}

function fact(name, ...value) {
  return [h("dt", {}, name), h("dd", {}, ...value)];
}

function cursor(detail) {
  const { pipeline } = detail;
  const facts = [
    ...fact("Cursor before", h("code", {}, detail.cursor_before ?? "–")),
    ...fact("Cursor after", h("code", {}, detail.cursor_after ?? "–")),
    ...fact("Last compared in full", detail.compared_at ? ago(detail.compared_at) : "never"),
    ...fact("Last verified", detail.verified ? `${ago(detail.verified.ended_at)}: ${count(detail.verified.upserted)} repaired, ${count(detail.verified.deleted)} removed` : "not in the runs shown"),
    ...fact("Data as of", pipeline.fresh_at ? moment(pipeline.fresh_at) : "–"),
  ];
  if (detail.held_back_since) facts.push(...fact("Held back", `since ${moment(detail.held_back_since)}, by transactions that are open in the source`));
  const streams = detail.streams.map((stream) =>
    h("tr", {}, h("td", {}, stream.name), h("td", {}, h("code", {}, stream.low ?? "–")), h("td", {}, h("code", {}, stream.high ?? "–")), h("td", {}, stream.waits_for ? `${stream.waits_for} open` : "none")),
  );
  const table = streams.length ? h("div", { class: "scroll" }, h("table", {}, headings("Stream", "Next window from", "Seen up to", "Waits for"), h("tbody", {}, ...streams))) : null;
  const reasons = detail.reasons.length ? h("p", { class: "faint" }, `Why the last changed cycle ran: ${detail.reasons.join("; ")}.`) : null;
  return h("div", {}, h("dl", {}, ...facts), table, reasons);
}

const headings = (...names) => h("thead", {}, h("tr", {}, ...names.map((name) => h("th", { scope: "col" }, name))));

// asks a server, so only when somebody wants to know
function lazy(id, what, draw) {
  const box = h("div", { class: "lazy-box" });
  const load = async () => {
    box.replaceChildren(h("p", { class: "faint" }, "Asking…"));
    try {
      const { data } = await api(`pipelines/${encodeURIComponent(id)}/${what}`);
      box.replaceChildren(draw(data));
      box.classList.toggle("many", data.total > 0);
    } catch (error) {
      box.replaceChildren(errorBox(error.body, h("button", { onclick: load }, "Ask again")));
    }
  };
  load();
  box.load = load;
  return box;
}

function drawSchema(data) {
  const rows = data.columns.map((column) =>
    h("tr", {}, h("td", {}, h("code", {}, column.name), column.key ? h("span", { class: "tag" }, "key") : null), h("td", {}, column.type), h("td", {}, column.target ? (column.target === column.name ? column.stored_as : `${column.target}: ${column.stored_as}`) : "–")),
  );
  const drift = data.drift.length ? h("ul", { class: "drift" }, ...data.drift.map((text) => h("li", {}, text))) : h("p", { class: "faint" }, "No drift: the target has every column it should.");
  return h("div", {}, drift, h("div", { class: "scroll" }, h("table", {}, headings("Column", "In the source", "In the target"), h("tbody", {}, ...rows))));
}

function drawRejects(id, data, actions, detail) {
  if (!data.total) return h("p", { class: "faint" }, "None: the target took every row.");
  const may = detail.pipeline.may_edit;
  const rows = data.rejects.map((reject) =>
    h(
      "tr",
      {},
      h("td", {}, h("code", {}, reject.key), h("div", {}, h("small", {}, ago(reject.at)))),
      h("td", {}, reject.reason, h("details", {}, h("summary", {}, "the row"), h("pre", {}, reject.row))),
      may ? h("td", { class: "act" }, h("button", { onclick: () => actions.rejects(id, "replay", [reject.key]) }, "Replay"), h("button", { onclick: () => actions.rejects(id, "drop", [reject.key]) }, "Drop")) : null,
    ),
  );
  const all = may ? h("div", { class: "bar" }, h("button", { onclick: () => actions.rejects(id, "replay", null) }, "Replay all"), h("button", { onclick: () => actions.rejects(id, "drop", null) }, "Drop all")) : null;
  const more = data.total > data.rejects.length ? ` The newest ${data.rejects.length} are shown.` : "";
  return h("div", {}, h("p", {}, `${count(data.total)} refused.${more}`), all, h("div", { class: "scroll" }, h("table", {}, headings("Key", "Why", ""), h("tbody", {}, ...rows))));
}

function actionBar(id, actions) {
  const low = h("input", { placeholder: "from (included)", "aria-label": "Window from" });
  const high = h("input", { placeholder: "to (not included)", "aria-label": "Window to" });
  const window_ = () => actions.run(id, { window: { low: low.value || null, high: high.value || null } });
  return h(
    "div",
    { class: "bar" },
    h("button", { onclick: () => actions.run(id, { mode: "verify" }), title: "Compare both sides by content and repair what differs" }, "Verify"),
    h("button", { onclick: () => actions.run(id, { mode: "full_refresh" }), title: "Read the whole query again" }, "Full refresh"),
    h("button", { onclick: () => actions.plan(id) }, "What would a run do?"),
    h("form", { class: "window", onsubmit: (event) => { event.preventDefault(); if (low.value || high.value) window_(); else toast("Give the window at least one bound.", "bad"); } }, low, high, h("button", {}, "Run window")),
    h("button", { class: "danger", onclick: () => actions.reset(id) }, "Start over"),
  );
}

function problems(detail) {
  const lines = detail.problems.map((problem) => h("li", {}, h("code", {}, `${problem.file}${problem.line ? `:${problem.line}` : ""} ${problem.where}`.trim()), ` ${problem.what} `, h("span", { class: "fix" }, problem.fix)));
  return h("div", { class: "error" }, h("p", { class: "what" }, "The spec can't be used; the target stays as it is."), h("ul", {}, ...lines));
}

function spec(detail, actions) {
  const edit = detail.pipeline.may_edit && actions.mayWrite() ? h("div", { class: "bar" }, h("button", { onclick: () => actions.edit(detail) }, "Edit"), h("button", { class: "danger", onclick: () => actions.remove(detail) }, "Remove")) : null;
  const query = detail.spec?.source?.query;
  const source = query?.file ? [h("h4", {}, `include/${query.file}`), h("pre", {}, query.text)] : [];
  return h("section", { class: "card spec" }, h("h3", {}, detail.file), edit, h("pre", {}, detail.text), ...source);
}

export function planView({ plan, counts, target_exists: there, columns, query }) {
  const types = columns.map(([name, type]) => h("tr", {}, h("td", {}, h("code", {}, name)), h("td", {}, type)));
  const about = plan.exact ? "" : "at most ";
  const gone = plan.deleted === null ? "an unknown number" : count(plan.deleted);
  const reads = plan.batches.slice(0, 5).map((batch) => h("pre", {}, batch.sql));
  return h(
    "div",
    { class: "plan" },
    h("p", { class: "what" }, plan.changed ? `${about}${count(plan.upserted)} rows would be written, ${gone} deleted.` : "Nothing has moved: no worker would start."),
    plan.refused ? errorBox({ what: plan.refused, where: "", fix: "" }) : null,
    plan.reasons.length ? h("ul", {}, ...plan.reasons.map((reason) => h("li", {}, reason))) : null,
    plan.changes.length ? h("ul", {}, ...plan.changes.map((change) => h("li", {}, change))) : null,
    h("p", {}, `Rows of the query: ${count(counts.source)}. Rows of the target: ${there ? count(counts.target) : "none, it would be made"}.`),
    plan.statements.length ? h("details", {}, h("summary", {}, "Statements for the target"), h("pre", {}, plan.statements.join(";\n"))) : null,
    reads.length ? h("details", {}, h("summary", {}, `Reads (${plan.batches.length})`), ...reads) : null,
    h("details", {}, h("summary", {}, "Columns"), h("div", { class: "scroll" }, h("table", {}, headings("Column", "Type"), h("tbody", {}, ...types)))),
    h("details", {}, h("summary", {}, "The query"), h("pre", {}, query)),
  );
}
