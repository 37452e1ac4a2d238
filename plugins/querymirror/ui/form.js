// The dialog that adds or changes a pipeline: its problems as one types, its plan, then save. Also the page's own "are you sure".
import { planView } from "./detail.js";
import { api, errorBox, h } from "./lib.js";

const WAIT = 300; // milliseconds after the last key
const dialog = document.getElementById("dialog");

dialog.addEventListener("click", (event) => {
  if (event.target === dialog) dialog.close();
});

function show(...children) {
  dialog.replaceChildren(...children.filter(Boolean));
  dialog.showModal();
}

export function confirm(title, text, verb) {
  return new Promise((resolve) => {
    const done = (answer) => {
      dialog.onclose = null;
      dialog.close();
      resolve(answer);
    };
    show(h("h2", {}, title), h("p", {}, text), h("div", { class: "bar end" }, h("button", { onclick: () => done(false) }, "Cancel"), h("button", { class: "danger", onclick: () => done(true) }, verb)));
    dialog.onclose = () => resolve(false);
  });
}

export async function showPlan(id) {
  const box = h("div", {}, h("p", { class: "faint" }, "Asking source and target…"));
  show(h("h2", {}, `What a run of ${id} would do now`), box, h("div", { class: "bar end" }, h("button", { onclick: () => dialog.close() }, "Close")));
  try {
    box.replaceChildren(planView((await api(`pipelines/${encodeURIComponent(id)}/plan`, { method: "POST" })).data));
  } catch (error) {
    box.replaceChildren(errorBox(error.body));
  }
}

const quote = (text) => (/^[A-Za-z_][\w.-]*$/.test(text) && !/^(null|true|false)$/i.test(text) ? text : JSON.stringify(text));

function specFrom(fields) {
  const get = (name) => fields[name].value.trim();
  const lines = [];
  if (get("description")) lines.push(`description: ${quote(get("description"))}`);
  lines.push("source:");
  if (get("source")) lines.push(`  conn_id: ${quote(get("source"))}`);
  const query = fields.query.value.trimEnd();
  lines.push(/\s/.test(query.trim()) ? `  query: |\n${query.split("\n").map((line) => `    ${line}`).join("\n")}` : `  query: ${query.trim()}`);
  const keys = get("key").split(/[\s,]+/).filter(Boolean).map(quote);
  lines.push(`  primary_key: [${keys.join(", ")}]`);
  if (get("cursor")) lines.push(`  cursor_column: ${quote(get("cursor"))}`);
  const kind = fields.type.value;
  lines.push("target:", `  type: ${kind}`);
  if (get("target")) lines.push(`  conn_id: ${quote(get("target"))}`);
  lines.push(`  ${kind === "postgres" ? "table" : "index"}: ${quote(get("name"))}`);
  if (get("schedule")) lines.push(`schedule: ${JSON.stringify(get("schedule"))}`);
  return `${lines.join("\n")}\n`;
}

function guided(changed) {
  const field = (label, name, props = {}) => {
    const input = props.rows ? h("textarea", { ...props, spellcheck: false }) : h("input", { ...props, spellcheck: false });
    input.addEventListener("input", changed);
    fields[name] = input;
    return h("label", { class: props.rows ? "full" : "" }, label, input);
  };
  const fields = {};
  const type = h("select", { onchange: changed }, h("option", { value: "postgres" }, "PostgreSQL table"), h("option", { value: "elasticsearch" }, "Elasticsearch index"));
  fields.type = type;
  const box = h(
    "div",
    { class: "guided" },
    field("Description", "description", { placeholder: "what it is for" }),
    field("Schedule", "schedule", { placeholder: "the deployment's own" }),
    field("Source connection", "source", { placeholder: "the deployment's own" }),
    field("Target connection", "target", { placeholder: "the deployment's own" }),
    field("Query, or a file under include/sql", "query", { rows: 4, placeholder: "SELECT id, name, updated_at FROM ..." }),
    field("Primary key", "key", { placeholder: "id" }),
    field("Cursor column", "cursor", { placeholder: "updated_at, or nothing" }),
    h("label", {}, "Target", type),
    field("Table or index", "name", { placeholder: "analytics.films" }),
  );
  return { box, fields };
}

const EXAMPLE = "source:\n  query: SELECT ...\n  primary_key: [id]\n  cursor_column: updated_at\ntarget:\n  type: postgres\n  table: analytics.\n";

// `detail`: of the pipeline to change; none = a new one
export function openForm(detail, saved) {
  const fresh = !detail;
  const name = h("input", { value: detail?.pipeline.id ?? "", readOnly: !fresh, placeholder: "film_dim", spellcheck: false, "aria-label": "Name", autocapitalize: "off" });
  const text = h("textarea", { class: "yaml", rows: 16, spellcheck: false, "aria-label": "Spec in YAML", value: detail?.text ?? "" });
  if (fresh) text.placeholder = EXAMPLE;
  const problems = h("div", { class: "problems", role: "status", "aria-live": "polite" });
  const plan = h("div", { class: "plan-box" });
  const save = h("button", { class: "primary", disabled: true }, fresh ? "Save" : "Save changes");
  const look = h("button", { disabled: true }, "See the plan");
  let timer = 0, asked = 0;

  const later = () => {
    save.disabled = look.disabled = true;
    clearTimeout(timer);
    timer = setTimeout(check, WAIT);
  };
  const address = (verb) => `pipelines/${encodeURIComponent(name.value.trim())}${verb}`;

  async function check() {
    const number = (asked += 1);
    if (!/^[A-Za-z][A-Za-z0-9_.-]{0,199}$/.test(name.value.trim())) {
      problems.replaceChildren(h("p", { class: "hint" }, "Give it a name: a letter, then letters, digits, _ - and dots. It names the file and the DAG."));
      return;
    }
    if (!text.value.trim()) {
      problems.replaceChildren(h("p", { class: "hint" }, "Paste a spec, or fill in the fields."));
      return;
    }
    try {
      const { data } = await api(address("/validate"), { method: "POST", yaml: text.value });
      if (number !== asked) return;
      save.disabled = look.disabled = !data.valid;
      problems.replaceChildren(data.valid ? h("p", { class: "fine" }, "✓ The spec is right.") : h("ul", {}, ...data.problems.map(problemLine)));
    } catch (error) {
      if (number === asked) problems.replaceChildren(errorBox(error.body));
    }
  }

  function problemLine(problem) {
    const place = problem.line ? `line ${problem.line}` : "the file";
    return h("li", {}, h("button", { class: "link", onclick: () => goTo(problem.line) }, place), problem.where ? h("code", {}, ` ${problem.where}`) : null, ` ${problem.what} `, h("span", { class: "fix" }, problem.fix));
  }

  function goTo(line) {
    const lines = text.value.split("\n");
    const start = lines.slice(0, Math.max(0, line - 1)).join("\n").length + (line > 1 ? 1 : 0);
    text.focus();
    text.setSelectionRange(start, start + (lines[line - 1] ?? "").length);
    text.scrollTop = Math.max(0, (line - 4) * 18);
  }

  look.addEventListener("click", async () => {
    plan.replaceChildren(h("p", { class: "faint" }, "Asking source and target…"));
    try {
      plan.replaceChildren(planView((await api(address("/plan"), { method: "POST", yaml: text.value })).data));
    } catch (error) {
      plan.replaceChildren(errorBox(error.body));
    }
    plan.scrollIntoView({ block: "nearest" });
  });

  save.addEventListener("click", async () => {
    save.disabled = true;
    try {
      const id = name.value.trim();
      if (fresh) await api("pipelines", { method: "POST", body: { id, spec: text.value } });
      else await api(`pipelines/${encodeURIComponent(id)}`, { method: "PUT", yaml: text.value, headers: { "If-Match": detail.etag } });
      dialog.close();
      saved(id);
    } catch (error) {
      problems.replaceChildren(errorBox(error.body));
    }
  });

  const { box: fields, fields: inputs } = guided(() => {
    text.value = specFrom(inputs);
    later();
  });
  name.addEventListener("input", later);
  text.addEventListener("input", later);
  dialog.onclose = null;
  show(
    h("h2", {}, fresh ? "Add a pipeline" : `Change ${detail.pipeline.id}`),
    h("label", { class: "full" }, "Name", name),
    fresh ? h("details", { class: "fill" }, h("summary", {}, "Fill in fields"), fields) : null,
    h("label", { class: "full" }, "Spec (YAML)", text),
    problems,
    plan,
    h("div", { class: "bar end" }, h("button", { onclick: () => dialog.close() }, "Cancel"), look, save),
  );
  check();
}
