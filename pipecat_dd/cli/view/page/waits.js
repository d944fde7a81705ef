/** The wait before an answer as a stacked bar: each part lights up in the score. */

import { html } from "./preact.js";
import { seconds } from "./format.js";

/** The parts of a wait, one behind the other; `scale` is the seconds that the whole width stands for. */
export function WaitBar({ wait, scale, onLight, onChoose }) {
  const lit = (part, reveals) => onLight?.({ ...part, reveals });
  return html`<div class="wait" role="group" aria-label=${`Waited ${seconds(wait.total)}`}>
    <div
      class="wait-bar"
      style=${{ width: `${(100 * wait.total) / scale}%` }}
      onPointerLeave=${() => onLight?.(undefined)}
      onKeyDown=${walk}
    >
      ${wait.parts.map(
        (part, at) =>
          html`<button
            key=${part.part}
            class=${`part w-${part.part}`}
            style=${{ flexGrow: part.secs }}
            tabindex=${at ? -1 : 0}
            aria-label=${`${part.label} ${seconds(part.secs)}: waited ${part.meaning}`}
            title=${`${part.label} ${seconds(part.secs)}: waited ${part.meaning}`}
            onPointerEnter=${() => lit(part, false)}
            onFocus=${() => lit(part, true)}
            onBlur=${() => onLight?.(undefined)}
            onClick=${(event) => {
              event.stopPropagation();
              onChoose?.(part);
            }}
          >
            <span aria-hidden="true">${part.label}</span>
          </button>`,
      )}
    </div>
  </div>`;
}

/** The arrow keys go from part to part: a bar is one stop of the Tab key. */
function walk(event) {
  const other = { ArrowLeft: "previousElementSibling", ArrowRight: "nextElementSibling" }[event.key];
  if (!other || event.shiftKey) return;
  event.target[other]?.focus();
  event.preventDefault();
  event.stopPropagation();
}

/** What the colours of the parts stand for. */
export function WaitLegend({ parts }) {
  return html`<ul class="wait-legend" aria-label="Parts of a wait">
    ${parts.map((part) => html`<li key=${part.part} title=${`Waited ${part.meaning}`}><i class=${`w-${part.part}`}></i>${part.label}</li>`)}
  </ul>`;
}
