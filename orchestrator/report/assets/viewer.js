
"use strict";
// The samples of the run, read on demand. Everything from outside becomes text nodes; nothing here writes markup.
(async () => {
  const ROW = 52, SPARE = 8;
  const byId = (id) => document.getElementById(id);
  const list = byId("list"), rows = byId("rows"), pane = byId("sample"), form = byId("filters"), count = byId("count");
  const STEERING = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;
  const visible = (text) => String(text).replace(STEERING, (sign) => {
    const code = sign.charCodeAt(0);
    return code < 32 ? String.fromCharCode(0x2400 + code) : "\ufffd";
  });

  const make = (tag, className, text) => {
    const element = document.createElement(tag);
    if (className) element.className = className;
    if (text !== undefined) element.textContent = visible(text);
    return element;
  };

  async function unpack() {
    const bytes = Uint8Array.from(atob(byId("pack").textContent), (sign) => sign.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return JSON.parse(await new Response(stream).text());
  }

  if (!("DecompressionStream" in window)) {
    count.textContent = "This browser is too old to unpack the samples.";
    return;
  }
  const columns = await unpack();
  const value = (name, at) => {
    const column = columns[name];
    if (column === undefined) return null;
    const found = Array.isArray(column) ? column[at] : column.at[at] === null ? null : column.values[column.at[at]];
    return found === undefined ? null : found;
  };
  const total = columns.ordinal.length;
  const error = (at) => value("error_class", at) ?? value("score_error", at);
  const CHOICES = {
    model: (at) => value("model", at), prompt_type: (at) => value("prompt_type", at), outcome: (at) => value("outcome", at),
    grade: (at) => value("grade", at), error, instance: (at) => value("instance", at),
  };

  // ---------------------------------------------------------------- the filter
  for (const [name, of] of Object.entries(CHOICES)) {
    const counts = new Map();
    for (let at = 0; at < total; at++) counts.set(of(at), (counts.get(of(at)) ?? 0) + 1);
    const select = form.elements[name];
    const all = make("option", "", "all");
    all.value = "";
    select.append(all);
    const levels = [...counts].sort((a, b) => String(a[0]) < String(b[0]) ? -1 : 1);
    levels.forEach(([level, samples], place) => {
      const option = make("option", "", `${level ?? "none"} (${samples.toLocaleString("en")})`);
      option.value = String(place + 1);
      select.append(option);
    });
    select.levels = levels.map(([level]) => level);
  }

  const TEXTS = ["task_id", "sample_id", "input", "target", "output_text", "messages", "tool_trace", "error_message", "raw_response", "score_details"];
  const hay = new Array(total);
  const holds = (at, needle) => {
    hay[at] ??= TEXTS.map((name) => value(name, at) ?? "").join("\n").toLowerCase();
    return hay[at].includes(needle);
  };

  let shown = [], chosen = -1;
  function filter() {
    const needle = form.elements.text.value.trim().toLowerCase();
    const wanted = Object.entries(CHOICES)
      .filter(([name]) => form.elements[name].value)
      .map(([name, of]) => [of, form.elements[name].levels[form.elements[name].value - 1]]);
    shown = [];
    for (let at = 0; at < total; at++) {
      if (wanted.every(([of, level]) => of(at) === level) && (!needle || holds(at, needle))) shown.push(at);
    }
    count.textContent = `${shown.length.toLocaleString("en")} of ${total.toLocaleString("en")} samples`;
    rows.style.height = `${shown.length * ROW}px`;
    list.scrollTop = 0;
    draw();
  }

  // ---------------------------------------------------------------- the list: only what is in sight exists
  const brief = (at) => (value("error_message", at) ?? value("input", at) ?? "").slice(0, 160).replace(/\s+/g, " ");
  const kind = (at) => value("grade", at) ?? (value("outcome", at) === "ok" ? "" : "infra");

  function draw() {
    const first = Math.max(0, Math.floor(list.scrollTop / ROW) - SPARE);
    const last = Math.min(shown.length, Math.ceil((list.scrollTop + list.clientHeight) / ROW) + SPARE);
    const drawn = [];
    for (let place = first; place < last; place++) drawn.push(row(place));
    rows.replaceChildren(...drawn);
  }

  function row(place) {
    const at = shown[place], found = make("div", "row");
    found.id = `row-${place}`;
    found.setAttribute("role", "option");
    found.setAttribute("aria-selected", String(at === chosen));
    found.setAttribute("aria-posinset", String(place + 1));
    found.setAttribute("aria-setsize", String(shown.length));
    found.style.top = `${place * ROW}px`;
    const head = make("div");
    head.append(make("span", `mark ${kind(at)}`), `${visible(value("task_id", at))} · ${visible(brief(at))}`);
    const grade = error(at) ?? value("grade", at) ?? value("outcome", at);
    found.append(head, make("div", "of", `${grade} · ${value("model", at)} · ${value("prompt_type", at)}`));
    found.addEventListener("click", () => open(at));
    return found;
  }

  // ---------------------------------------------------------------- one sample
  const seconds = (found) => found === null ? null : found > 0 && found < 0.1 ? `${(1000 * found).toFixed(1)} ms` : `${found.toFixed(2)} s`;

  function facts(pairs) {
    const found = make("dl", "facts");
    for (const [name, text] of pairs) {
      if (text === null || text === "") continue;
      const pair = make("div");
      pair.append(make("dt", "", name), make("dd", "", text));
      found.append(pair);
    }
    return found;
  }

  function turn(who, text, className = "") {
    const found = make("div", `turn ${className}`);
    found.append(make("div", "who", who), make("div", /call|result|raw|tool/.test(who) ? "said code" : "said", text));
    return found;
  }

  const pretty = (text) => {
    try { return JSON.stringify(JSON.parse(text), null, 2); } catch { return String(text); }
  };
  const content = (said) => typeof said === "string" ? said : said == null ? "" : JSON.stringify(said, null, 2);

  function conversation(at) {
    const found = [];
    let messages = [];
    try { messages = JSON.parse(value("messages", at) ?? "[]"); } catch { /* shown from input and output below */ }
    const output = value("output_text", at);
    if (!messages.length) found.push(turn("user", value("input", at) ?? "", "user"));
    let last = null;
    for (const message of messages) {
      const said = content(message.content), role = String(message.role ?? "message");
      if (said) found.push(turn(role === "tool" ? "tool result" : role, said, role === "assistant" ? "assistant" : ""));
      if (role === "assistant") last = said;
      for (const call of message.tool_calls ?? []) {
        const asked = call.function ?? call;
        found.push(turn(`call of ${asked.name ?? "a tool"}`, pretty(content(asked.arguments)), "assistant"));
      }
    }
    if (output !== null && output !== last) found.push(turn("assistant", output, "assistant"));
    if (value("error_message", at) !== null) found.push(turn(`error: ${value("error_class", at) ?? ""}`, value("error_message", at), "error"));
    if (value("raw_response", at) !== null) found.push(turn("raw response", value("raw_response", at), "error"));
    return found;
  }

  function open(at, isAsked = true) {
    chosen = at;
    const get = (name) => value(name, at);
    const back = make("button", "back", "Back to the list");
    back.type = "button";
    back.addEventListener("click", () => { form.scrollIntoView(); list.focus({ preventScroll: true }); });
    const moved = get("moved_reason") === null ? null : `from ${get("planned_instance")} (${get("moved_reason")})`;
    const times = ["queue", "rate_wait", "retry_wait", "connect", "ttft", "generation", "parse", "write", "total", "working"];
    const parts = [
      back,
      make("h3", "name", `Sample ${get("ordinal")} · ${get("task_id")}`),
      facts([
        ["model", get("model")], ["prompt type", get("prompt_type")], ["difficulty", get("difficulty")], ["task type", get("task_type")],
        ["tool success rate", get("tool_success_rate")], ["epoch", get("epoch")], ["outcome", get("outcome")], ["grade", get("grade")],
        ["score", get("score")], ["error", error(at)], ["target", get("target")], ["finish", get("finish_reason")],
      ]),
      make("h3", "", "Conversation"), ...conversation(at),
    ];
    if (get("score_details") !== null) parts.push(make("h3", "", "Score details"), turn("scorer", get("score_details")));
    if (get("tool_trace") !== null) parts.push(make("h3", "", "Tool calls"), turn("tool calls", pretty(get("tool_trace"))));
    parts.push(
      make("h3", "", "Attempts"),
      facts([
        ["instance", get("instance")], ["moved", moved], ["attempts", get("attempts")], ["refused on the way", get("throttles")],
        ["HTTP status", get("status")], ["last request", get("request_id")], ["answered by", get("response_model")],
        ["turns", get("turns")], ["tool calls", get("tool_calls")], ["of them made to fail", get("tool_failures")],
        ["input tokens", get("input_tokens")], ["output tokens", get("output_tokens")],
        ["cost", get("cost_usd") === null ? null : `$${get("cost_usd")}`],
        ["started", get("started_at") === null ? null : new Date(get("started_at") / 1000).toISOString()],
      ]),
      make("h3", "", "Time"), facts(times.map((name) => [name.replace("_", " "), seconds(get(`${name}_s`))])),
    );
    pane.replaceChildren(...parts);
    pane.scrollTop = 0;
    draw();
    if (isAsked) {
      history.replaceState(null, "", `#sample-${get("ordinal")}`);
      if (matchMedia("(max-width: 760px)").matches) pane.scrollIntoView();
    }
  }

  function step(by) {
    const place = Math.min(shown.length - 1, Math.max(0, shown.indexOf(chosen) + by));
    if (!shown.length) return;
    const top = place * ROW;
    if (top < list.scrollTop) list.scrollTop = top;
    if (top + ROW > list.scrollTop + list.clientHeight) list.scrollTop = top + ROW - list.clientHeight;
    open(shown[place]);
    list.setAttribute("aria-activedescendant", `row-${place}`);
  }

  function follow() {
    const asked = /^#sample-(\d+)$/.exec(location.hash);
    if (!asked) return;
    const at = columns.ordinal.indexOf(Number(asked[1]));
    byId("samples").scrollIntoView();
    if (at >= 0) open(at, false);
    else pane.replaceChildren(make("p", "hint", `Sample ${asked[1]} is not among those that this page holds.`));
    pane.focus({ preventScroll: true });
  }

  let pending = 0;
  const soon = () => { clearTimeout(pending); pending = setTimeout(filter, 120); };
  for (const event of ["input", "change"]) form.addEventListener(event, soon);
  form.addEventListener("reset", () => setTimeout(filter));
  form.addEventListener("submit", (event) => event.preventDefault());
  list.addEventListener("scroll", draw, { passive: true });
  list.addEventListener("keydown", (event) => {
    const by = { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10 }[event.key];
    if (by) { event.preventDefault(); step(by); }
  });
  addEventListener("hashchange", follow);
  addEventListener("resize", draw);
  form.hidden = false;
  byId("viewer").hidden = false;
  filter();
  follow();
  document.documentElement.dataset.ready = "true";
})();
