/** A call in a few figures. */

import { html } from "./preact.js";
import { MARKS, Mark } from "./marks.js";
import { seconds, spell } from "./format.js";

export const SLOW_ANSWER_SECS = 2;

/** How long a call has gone on, in seconds. */
export function lengthOf(session, end = session.end) {
  if (end === undefined) return undefined;
  return Math.max(0, end - session.start) / 1000;
}

/** Who took part, as one text; empty where nobody's name is known. */
export function peopleOf(session) {
  return (session.participant_names || []).filter(Boolean).join(", ");
}

/** What a call is called. */
export function titleOf(session) {
  return peopleOf(session) || session.name || session.id;
}

/** How a call came to its end, as one text. */
export function howItEnded(session) {
  const reason = session.has_no_end ? "its end was not received" : session.end_reason;
  return [session.outcome, reason].filter(Boolean).join(" · ");
}

/** A report that is of a call that goes on does not go on with it. */
const IS_REPORT = Boolean(document.getElementById("data"));

export function LiveDot() {
  if (IS_REPORT) return html`<span class="muted">went on when this was written</span>`;
  return html`<span class="live"><i aria-hidden="true"></i>live</span>`;
}

/** What is counted: by its mark where it has one, and how bad it is. */
const COUNTED = [
  {
    name: "participants",
    of: (session) => (session.participants > 1 ? session.participants : 0),
    one: "participant",
  },
  { name: "turns", of: (session) => session.turns, one: "turn" },
  { name: "interruption", of: (session) => session.interruptions, one: "interruption" },
  {
    name: "gap",
    of: (session) => session.voice_gap_count,
    one: "gap",
    secs: (session) => session.voice_gap_secs,
  },
  {
    name: "block",
    of: (session) => session.blocked_count,
    one: "block",
    secs: (session) => session.blocked_secs,
    isBad: true,
  },
  { name: "error", of: (session) => session.errors, one: "error", isBad: true },
  { name: "dropped", of: (session) => session.dropped, one: "oldest forgotten", many: "oldest forgotten" },
];

function Figure({ label, value, isBad, kind, onClick }) {
  const body = html`${kind && html`<${Mark} kind=${kind} />`}<b>${value}</b><span>${label}</span>`;
  return onClick
    ? html`<button class=${`figure ${isBad ? "bad" : ""}`} onClick=${onClick}>${body}</button>`
    : html`<span class=${`figure ${isBad ? "bad" : ""}`}>${body}</span>`;
}

/** The figures in a row; `onGo` is called with the kind of mark, or "slowest", that is clicked. */
export function Figures({ session, end, onGo }) {
  const slow = session.slowest_answer_secs;
  return html`<div class="figures" role="group" aria-label="Figures">
    <${Figure} value=${spell(lengthOf(session, end) || 0)} label="long" />
    ${
      slow > 0 &&
      html`<${Figure}
        value=${seconds(slow)}
        label="slowest answer"
        isBad=${slow >= SLOW_ANSWER_SECS}
        onClick=${() => onGo("slowest")}
      />`
    }
    ${COUNTED.map(({ name, of, one, many = `${one}s`, secs, isBad }) => {
      const number = of(session);
      if (!number) return null;
      const label = `${number === 1 ? one : many}${secs ? `, ${seconds(secs(session) || 0)}` : ""}`;
      const kind = MARKS[name] && name;
      return html`<${Figure}
        key=${name}
        ...${{ label, kind, isBad }}
        value=${number.toLocaleString("en")}
        onClick=${kind && (() => onGo(kind))}
      />`;
    })}
  </div>`;
}
