/** A call in a few figures. */

import { html } from "./preact.js";
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

export function LiveDot() {
  return html`<span class="live"><i aria-hidden="true"></i>live</span>`;
}

function Figure({ label, value, isBad, letter, onClick }) {
  const body = html`${letter && html`<i class=${`mark ${letter[1]}`} aria-hidden="true">${letter[0]}</i>`}<b
      >${value}</b
    ><span>${label}</span>`;
  return onClick
    ? html`<button class=${`figure ${isBad ? "bad" : ""}`} onClick=${onClick}>${body}</button>`
    : html`<span class=${`figure ${isBad ? "bad" : ""}`}>${body}</span>`;
}

/** The figures in a row; `onGo` is called with the kind of mark, or "slowest", that is clicked. */
export function Figures({ session, end, onGo }) {
  const slow = session.slowest_answer_secs;
  const many = (number, one, several) => (number === 1 ? one : several);
  return html`<div class="figures" role="group" aria-label="Figures">
    <${Figure} value=${spell(lengthOf(session, end) || 0)} label="long" />
    ${session.participants > 1 && html`<${Figure} value=${session.participants} label="participants" />`}
    <${Figure} value=${session.turns || 0} label=${many(session.turns, "turn", "turns")} />
    ${slow > 0 && html`<${Figure} value=${seconds(slow)} label="slowest answer" isBad=${slow >= SLOW_ANSWER_SECS} onClick=${() => onGo("slowest")} />`}
    ${session.interruptions > 0 && html`<${Figure} letter=${["I", "interruption"]} value=${session.interruptions} label=${many(session.interruptions, "interruption", "interruptions")} onClick=${() => onGo("interruption")} />`}
    ${session.voice_gap_count > 0 && html`<${Figure} letter=${["G", "gap"]} value=${session.voice_gap_count} label=${`${many(session.voice_gap_count, "gap", "gaps")}, ${seconds(session.voice_gap_secs || 0)}`} onClick=${() => onGo("gap")} />`}
    ${session.blocked_count > 0 && html`<${Figure} letter=${["B", "block"]} value=${session.blocked_count} label=${`${many(session.blocked_count, "block", "blocks")} of the loop, ${seconds(session.blocked_secs || 0)}`} isBad onClick=${() => onGo("block")} />`}
    ${session.errors > 0 && html`<${Figure} letter=${["E", "error"]} value=${session.errors} label=${many(session.errors, "error", "errors")} isBad onClick=${() => onGo("error")} />`}
    ${session.dropped > 0 && html`<${Figure} value=${session.dropped.toLocaleString("en")} label="oldest forgotten" />`}
  </div>`;
}
