/** All conversations: what each was like, at a glance. */

import { Component, html } from "./preact.js";
import { Mark } from "./marks.js";
import { count, day, iso, moment, seconds, spell, timeOfDay } from "./format.js";
import { LiveDot, SLOW_ANSWER_SECS, lengthOf, peopleOf, titleOf } from "./figures.js";
import { largest } from "./medians.js";

const FILTERS = [
  { id: "live", label: "live", has: (session) => session.is_live },
  { id: "errors", label: "errors", has: (session) => session.errors > 0 },
  { id: "slow", label: "slow answers", has: (session) => session.slowest_answer_secs >= SLOW_ANSWER_SECS },
  { id: "gaps", label: "gaps", has: (session) => session.voice_gap_count > 0 },
  { id: "blocked", label: "blocked loop", has: (session) => session.blocked_count > 0 },
  { id: "interrupted", label: "interrupted", has: (session) => session.interruptions > 0 },
];

const COLUMNS = [
  { id: "start", label: "Began", of: (session) => session.start },
  { id: "who", label: "Who", of: titleOf, isText: true },
  { id: "length", label: "Length", of: (session) => lengthOf(session) ?? Infinity, isNumber: true },
  { id: "turns", label: "Turns", of: (session) => session.turns || 0, isNumber: true },
  {
    id: "outcome",
    label: "Outcome",
    of: (session) => session.outcome || session.end_reason || "",
    isText: true,
  },
  { id: "slowest", label: "Slowest answer", of: (session) => session.slowest_answer_secs || 0 },
  {
    id: "interruptions",
    label: "Cut off",
    title: "Interruptions",
    of: (session) => session.interruptions || 0,
    isNumber: true,
  },
  { id: "gaps", label: "Voice gaps", of: (session) => session.voice_gap_secs || 0, isNumber: true },
  { id: "blocked", label: "Blocked loop", of: (session) => session.blocked_secs || 0, isNumber: true },
  { id: "errors", label: "Errors", of: (session) => session.errors || 0, isNumber: true },
];

export const addressOf = (id) => `#/call/${encodeURIComponent(id)}`;

export class ListView extends Component {
  constructor(props) {
    super(props);
    this.state = { text: "", filters: new Set(), by: "start", isUp: false, chosen: [] };
  }

  globalKey(event) {
    if (event.key !== "/") return false;
    this._searchBox.focus();
    return true;
  }

  _shown() {
    const { text, filters, by, isUp } = this.state;
    const column = COLUMNS.find(({ id }) => id === by);
    const wanted = text.toLowerCase();
    const has = (session) =>
      [titleOf(session), session.name, session.service, session.outcome, session.end_reason, session.id].some(
        (each) => each?.toLowerCase().includes(wanted),
      ) && FILTERS.every((filter) => !filters.has(filter.id) || filter.has(session));
    return [...this.props.sessions.values()].filter(has).sort((one, other) => {
      const [a, b] = isUp ? [column.of(one), column.of(other)] : [column.of(other), column.of(one)];
      return (column.isText ? a.localeCompare(b) : a - b) || other.start - one.start;
    });
  }

  _choose(id) {
    this.setState(({ chosen }) => ({
      chosen: chosen.includes(id) ? chosen.filter((each) => each !== id) : [...chosen, id].slice(-2),
    }));
  }

  render({ sessions, isReport, isLoaded }, { text, filters, by, isUp, chosen }) {
    const shown = this._shown();
    const all = [...sessions.values()];
    const slowest = largest(all.map((session) => session.slowest_answer_secs || 0)) || 1;
    const live = all.filter((session) => session.is_live).length;
    return html`<main class="list">
      <header class="list-head">
        <h1>Conversations</h1>
        <p class="muted" role="status">
          ${shown.length === all.length ? count(all.length, "conversation") : `${shown.length} of ${count(all.length, "conversation")}`}${live ? ` · ${live} live` : ""}
        </p>
        <span class="grow"></span>
        <a
          class=${`button ${chosen.length === 2 ? "primary" : "is-off"}`}
          aria-disabled=${chosen.length !== 2}
          href=${chosen.length === 2 ? `#/compare/${chosen.map(encodeURIComponent).join("/")}` : undefined}
          role="link"
          >${chosen.length === 2 ? "Compare the two" : "Choose two to compare"}</a
        >
      </header>
      <div class="panel-bar">
        <label class="search"
          ><span class="sr-only">Filter conversations</span>
          <input
            type="search"
            placeholder="Filter by name, outcome, id"
            value=${text}
            ref=${(box) => (this._searchBox = box)}
            aria-keyshortcuts="/"
            onInput=${(event) => this.setState({ text: event.target.value })}
          /><kbd aria-hidden="true">/</kbd></label
        >
        ${FILTERS.map(
          ({ id, label }) =>
            html`<button
              key=${id}
              class="chip"
              aria-pressed=${filters.has(id)}
              onClick=${() => {
                const changed = new Set(filters);
                if (!changed.delete(id)) changed.add(id);
                this.setState({ filters: changed });
              }}
            >
              ${label}
            </button>`,
        )}
      </div>
      <div class="table scrolls" tabindex="0" role="region" aria-label="Conversations">
        <table>
          <thead>
            <tr>
              <th class="choice"><span class="sr-only">Compare</span></th>
              ${COLUMNS.map(
                (column) =>
                  html`<th
                    key=${column.id}
                    class=${column.isNumber ? "number" : ""}
                    aria-sort=${by === column.id ? (isUp ? "ascending" : "descending") : undefined}
                  >
                    <button
                      title=${column.title}
                      onClick=${() => this.setState({ by: column.id, isUp: by === column.id ? !isUp : Boolean(column.isText) })}
                    >
                      ${column.label}<span class="arrow" aria-hidden="true"
                        >${by === column.id ? (isUp ? "▲" : "▼") : ""}</span
                      >
                    </button>
                  </th>`,
              )}
            </tr>
          </thead>
          <tbody>
            ${shown.map(
              (session) =>
                html`<${SessionRow}
                  key=${session.id}
                  session=${session}
                  slowest=${slowest}
                  isChosen=${chosen.includes(session.id)}
                  onChoose=${() => this._choose(session.id)}
                />`,
            )}
          </tbody>
        </table>
        ${
          !shown.length &&
          html`<div class="nothing">
            ${
              all.length
                ? "No conversation passes the filter."
                : !isLoaded
                  ? "Asking for the conversations …"
                  : isReport
                    ? "This report is empty."
                    : html`<h2>No conversation yet</h2>
                        <p>
                          The first appears here as soon as the bot has one. Run a bot under this page with
                        </p>
                        <pre>pipecat-dd view -- python bot.py</pre>`
            }
          </div>`
        }
      </div>
    </main>`;
  }
}

function SessionRow({ session, slowest, isChosen, onChoose }) {
  const slow = session.slowest_answer_secs || 0;
  const cell = (number, text, isBad) =>
    html`<td class=${`number ${number ? (isBad ? "bad" : "") : "none"}`}>${number ? text : "–"}</td>`;
  const people = peopleOf(session);
  return html`<tr
    class=${isChosen ? "is-chosen" : ""}
    onClick=${(event) => {
      if (!event.target.closest("a, input, label") && !getSelection().toString())
        location.hash = addressOf(session.id);
    }}
  >
    <td class="choice">
      <input
        type="checkbox"
        checked=${isChosen}
        aria-label=${`Compare ${titleOf(session)}`}
        onChange=${onChoose}
      />
    </td>
    <td class="began">
      <time datetime=${iso(session.start)} title=${moment(session.start)}>${timeOfDay(session.start)}</time
      >${" "}<span class="muted">${day(session.start)}</span>
    </td>
    <td class="who">
      <a href=${addressOf(session.id)}>${people || session.name || session.id}</a
      ><span class="muted"
        >${[people && session.name, session.participants > 1 && !people && `${session.participants} participants`].filter(Boolean).join(" · ")}</span
      >
    </td>
    <td class="number">${session.is_live ? html`<${LiveDot} />` : spell(lengthOf(session) || 0)}</td>
    <td class="number">${session.turns || 0}</td>
    <td class="outcome-cell">
      ${session.outcome && html`<span>${session.outcome}</span>${" "}`}<span
        class=${session.end_reason === "failed" ? "bad" : "muted"}
        >${session.has_no_end ? "its end was not received" : session.end_reason}</span
      >
    </td>
    <td class="slowest">
      ${slow > 0 && html`<span class=${`meter ${slow >= SLOW_ANSWER_SECS ? "bad" : ""}`}><i style=${{ width: `${(100 * slow) / slowest}%` }}></i></span>${" "}<b class=${slow >= SLOW_ANSWER_SECS ? "bad" : ""}>${seconds(slow)}</b>`}
    </td>
    ${cell(session.interruptions, session.interruptions)}
    ${cell(session.voice_gap_count, html`${session.voice_gap_count} <span class="muted">${seconds(session.voice_gap_secs || 0)}</span>`)}
    ${cell(session.blocked_count, html`${session.blocked_count} <span class="muted">${seconds(session.blocked_secs || 0)}</span>`, true)}
    ${cell(session.errors, html`<${Mark} kind="error" /> ${session.errors}`, true)}
  </tr>`;
}
