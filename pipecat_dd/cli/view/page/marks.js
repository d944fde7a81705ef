/** What is marked in a call, each by a letter on a shape of its own: no mark is told by its colour alone. */

import { html } from "./preact.js";

export const MARKS = {
  interruption: { letter: "I", label: "interruption" },
  gap: { letter: "G", label: "gap in the audio" },
  block: { letter: "B", label: "blocked loop" },
  error: { letter: "E", label: "error" },
};

/** A mark beside a text that says what it is; `says` where there is none. */
export function Mark({ kind, says }) {
  const shape = html`<i class=${`mark ${kind}`} title=${says} aria-hidden="true">${MARKS[kind].letter}</i>`;
  return says ? html`${shape}<span class="sr-only">${says}</span>` : shape;
}
