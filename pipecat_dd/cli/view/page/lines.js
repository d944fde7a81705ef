/** The lines of a call: searched, filtered, and each with the way to its span. */

import { Component, html } from "./preact.js";
import { count, offset } from "./format.js";
import { Rows } from "./rows.js";

const LEVELS = ["TRACE", "DEBUG", "INFO", "SUCCESS", "WARNING", "ERROR", "CRITICAL"];
const MOST_SHOWN = 400;
const RANK = new Map(LEVELS.map((level, rank) => [level, rank]));

export function rankOf(level) {
  return RANK.get(level) ?? RANK.get("INFO");
}

/** Whether a line has a text in its message, its place or its values. */
export function lineHas(line, text) {
  if (!text) return true;
  const has = (value) => typeof value === "string" && value.toLowerCase().includes(text);
  if (has(line.msg) || has(line.logger) || has(line.function) || has(line.participant_name)) return true;
  if (line.error && (has(line.error.kind) || has(line.error.message))) return true;
  return Boolean(line.fields) && Object.values(line.fields).some((value) => has(String(value)));
}

export const ALL_LINES = { level: "TRACE", participant: "", isOfSpan: false, withChildren: true };

export class Lines extends Component {
  /** The lines that pass the filters; worked out again only where something has changed. */
  _filtered() {
    const { call, filters, text, selected } = this.props;
    const key = [call, call.version, filters, text, filters.isOfSpan && selected];
    if (this._key?.every((value, at) => value === key[at])) return this._found;
    this._key = key;
    let lines = call.lines;
    if (filters.isOfSpan && selected)
      lines = filters.withChildren ? call.linesBelow(selected) : call.linesOf(selected.id);
    const least = rankOf(filters.level);
    this._found = lines.filter(
      (line) =>
        rankOf(line.level) >= least &&
        (!filters.participant || line.participant === filters.participant) &&
        lineHas(line, text),
    );
    return this._found;
  }

  /** Where the lines of the selected span are. */
  _near(lines, selected) {
    if (!selected) return -1;
    const own = lines.findIndex((line) => line.span === selected.id);
    return own >= 0
      ? own
      : Math.min(
          lines.length - 1,
          lines.findIndex((line) => line.t >= selected.start),
        );
  }

  render({ call, filters, selected, line, onFilter, onLine, onOpen }) {
    const lines = this._filtered();
    const people = new Map();
    for (const each of call.lines)
      if (each.participant) people.set(each.participant, each.participant_name || each.participant);
    const change = (name, value) => onFilter({ ...filters, [name]: value });
    return html`<div class="lines">
      <div class="panel-bar">
        <label
          ><span class="sr-only">Least level</span>
          <select value=${filters.level} onChange=${(event) => change("level", event.target.value)}>
            <option value="TRACE">all levels</option>
            ${["DEBUG", "INFO", "WARNING", "ERROR"].map((level) => html`<option key=${level} value=${level}>${level} and up</option>`)}
          </select>
        </label>
        ${
          people.size > 0 &&
          html`<label
            ><span class="sr-only">Participant</span>
            <select
              value=${filters.participant}
              onChange=${(event) => change("participant", event.target.value)}
            >
              <option value="">all participants</option>
              ${[...people].map(([id, name]) => html`<option key=${id} value=${id}>${name}</option>`)}
            </select>
          </label>`
        }
        <button
          class="chip"
          aria-pressed=${filters.isOfSpan}
          disabled=${!selected}
          onClick=${() => change("isOfSpan", !filters.isOfSpan)}
        >
          of this span
        </button>
        ${
          filters.isOfSpan &&
          html`<button
            class="chip"
            aria-pressed=${filters.withChildren}
            onClick=${() => change("withChildren", !filters.withChildren)}
          >
            and its children
          </button>`
        }
        <span class="grow"></span>
        <span class="muted" role="status"
          >${lines.length === call.lines.length ? count(lines.length, "line") : `${lines.length.toLocaleString("en")} of ${count(call.lines.length, "line")}`}</span
        >
      </div>
      <${Rows}
        id="lines"
        items=${lines}
        height=${22}
        role="listbox"
        itemRole="option"
        label="Lines"
        current=${line ? lines.indexOf(line) : -1}
        near=${line ? -1 : this._near(lines, selected)}
        sticksToEnd=${call.session.is_live}
        nothing=${call.lines.length ? "No line passes the filters." : "No line yet."}
        onGo=${(at) => onLine(lines[at])}
        onOpen=${onOpen}
        row=${(each) =>
          html`<${Line}
            line=${each}
            call=${call}
            person=${people.size > 1 && each.participant ? people.get(each.participant) : undefined}
            isOfSelected=${selected && each.span === selected.id}
          />`}
      />
    </div>`;
  }
}

export function Line({ line, call, person, isOfSelected }) {
  const kind = call.node(line.span);
  return html`<div class=${`line ${levelClass(line.level)} ${isOfSelected ? "is-of-selected" : ""}`}>
    <time>${offset(line.t - call.start, 2)}</time>
    <b class="level">${line.level}</b>
    ${person && html`<span class="person">${person}</span>`}
    <span class="msg">${line.msg.slice(0, MOST_SHOWN)}</span>
    <span class="of">${kind ? kind.name : ""}</span>
  </div>`;
}

export function levelClass(level) {
  const rank = rankOf(level);
  return rank >= rankOf("ERROR")
    ? "is-error"
    : rank >= rankOf("WARNING")
      ? "is-warning"
      : rank < rankOf("INFO")
        ? "is-debug"
        : "";
}
