/** Two conversations side by side: a good one and a bad one, and where they differ. */

import { Component, html } from "./preact.js";
import { count, plainNumber, seconds, spell, timeOfDay } from "./format.js";
import { largest } from "./medians.js";
import { countsOf, onlyIn, waitsOf } from "./compare_numbers.js";
import { LiveDot, howItEnded, titleOf } from "./figures.js";
import { addressOf } from "./list_view.js";
import { paintMinimap } from "./minimap.js";
import { colours, onThemeChange } from "./theme.js";

const HEIGHT = 44;
const NOTABLE_SECS = 0.05;

export class CompareView extends Component {
  globalKey() {
    return false;
  }

  render({ calls: [one, other], sessions, onChange }) {
    const both = [one, other];
    return html`<main class="compare">
      <header class="list-head">
        <h1>Two calls side by side</h1>
        <span class="grow"></span>
        <button class="button" onClick=${() => onChange(other.id, one.id)}>Swap</button>
      </header>
      <div class="scrolls compare-body" tabindex="0" role="region" aria-label="Comparison">
        <div class="pair heads">
          ${both.map((call, at) => html`<${Head} key=${at} ...${{ call, at, sessions }} onChange=${(id) => onChange(...(at ? [one.id, id] : [id, other.id]))} />`)}
        </div>
        <${Waits} calls=${both} />
        <div class="pair">
          <${Counts} calls=${both} />
          <section class="panel">
            <h2>Only in one of them</h2>
            <div class="pair">
              ${both.map((call, at) => html`<${Only} key=${at} letter=${"AB"[at]} call=${call} other=${both[1 - at]} />`)}
            </div>
          </section>
        </div>
      </div>
    </main>`;
  }
}

class Head extends Component {
  componentDidMount() {
    const sizes = new ResizeObserver(() => this._draw());
    sizes.observe(this._canvas.parentNode);
    this._ends = [onThemeChange(() => this._draw()), () => sizes.disconnect()];
    this._draw();
  }

  componentWillUnmount() {
    for (const end of this._ends) end();
  }

  componentDidUpdate() {
    this._draw();
  }

  _draw() {
    paintMinimap(this._canvas, this.props.call, this._canvas.parentNode.clientWidth - 24, HEIGHT, colours());
  }

  render({ call, at, sessions, onChange }) {
    const { session } = call;
    return html`<section class="panel head">
      <div class="head-row">
        <b class=${`side side-${at}`}>${"AB"[at]}</b>
        <label class="grow"
          ><span class="sr-only">Conversation ${"AB"[at]}</span>
          <select value=${call.id} onChange=${(event) => onChange(event.target.value)}>
            ${[...sessions.values()].map((each) => html`<option key=${each.id} value=${each.id}>${timeOfDay(each.start)} ${titleOf(each)} · ${each.name}</option>`)}
          </select></label
        >
        ${session.is_live && html`<${LiveDot} />`}
        <a class="link" href=${addressOf(call.id)}>open</a>
      </div>
      <canvas
        ref=${(canvas) => (this._canvas = canvas)}
        role="img"
        aria-label="When the user and the bot spoke"
      ></canvas>
      <p class="muted">
        ${[howItEnded(session), spell((call.end - call.start) / 1000), count(call.turns.length, "turn")].filter(Boolean).join(" · ")}
      </p>
    </section>`;
  }
}

function Waits({ calls }) {
  const [one, other] = calls.map(waitsOf);
  const scale = largest([one, other].map((waits) => waits.total.worst || 0)) || 1;
  const shown = one.parts.map((part, at) => [part, other.parts[at]]).filter(([a, b]) => a.worst || b.worst);
  const largestDifference = largest(shown.map(([a, b]) => Math.abs((b.median || 0) - (a.median || 0)))) || 1;
  return html`<section class="panel">
    <h2>The wait for an answer</h2>
    <div class="stacks">
      ${[
        // Of an even number, the median of the table below lies between two.
        ["middle", (waits) => (waits.count % 2 ? "answer in the middle" : "the quicker of the two in the middle")],
        ["slowest", () => "slowest answer"],
      ].map(([which, whatOf]) =>
        [one, other].map(
          (waits, at) =>
            waits[which] &&
            html`<${Stack}
              key=${`${which}${at}`}
              ...${{ at, what: whatOf(waits), scale }}
              call=${calls[at]}
              wait=${waits[which]}
            />`,
        ),
      )}
    </div>
    <table class="numbers">
      <thead>
        <tr>
          <th>Part</th>
          <th class="number">A median</th>
          <th class="number">B median</th>
          <th class="difference">B against A</th>
          <th class="number">A worst</th>
          <th class="number">B worst</th>
        </tr>
      </thead>
      <tbody>
        ${shown.map(
          ([a, b]) =>
            html`<tr key=${a.part}>
              <th title=${`Waited ${a.meaning}`}>
                <i class=${`dot w-${a.part}`} aria-hidden="true"></i>${a.label}
              </th>
              <${Secs} of=${a.median} /><${Secs} of=${b.median} />
              <td class="difference">
                <${Difference} secs=${(b.median || 0) - (a.median || 0)} scale=${largestDifference} />
              </td>
              <${Secs} of=${a.worst} /><${Secs} of=${b.worst} />
            </tr>`,
        )}
        <tr class="total">
          <th>in all</th>
          ${[one, other].map((waits, at) => html`<${Secs} key=${at} of=${waits.total.median} />`)}
          <td class="difference">
            ${one.total.median !== undefined && other.total.median !== undefined && html`<${Difference} secs=${other.total.median - one.total.median} />`}
          </td>
          ${[one, other].map((waits, at) => html`<${Secs} key=${at} of=${waits.total.worst} />`)}
        </tr>
      </tbody>
    </table>
    <p class="hint muted">The medians are over all answers; a part that an answer did not have counts as 0.</p>
  </section>`;
}

/** One answer's wait, with the way to its turn. */
function Stack({ at, what, scale, call, wait }) {
  const { turn } = wait;
  const address = `${addressOf(call.id)}/span/${encodeURIComponent(turn.id)}`;
  const way = html`<a href=${address}>turn ${turn.number ?? ""}</a>`;
  return html`<div class="stack-row">
    <b class=${`side side-${at}`}>${"AB"[at]}</b>
    <span class="stack" aria-hidden="true"
      >${wait.parts.map((part) => html`<i key=${part.part} class=${`w-${part.part}`} title=${`${part.label} ${seconds(part.secs)}`} style=${{ width: `${(100 * part.secs) / scale}%` }}></i>`)}</span
    >
    <b class="number">${seconds(wait.total)}</b>
    <span class="stack-what muted">${what}, ${way}</span>
  </div>`;
}

/**
 * A bar to the right where the second call waited longer, to the left where it waited less.
 * Without a scale there is the number alone.
 */
function Difference({ secs, scale }) {
  const share = scale ? Math.min(1, Math.abs(secs) / scale) * 50 : 0;
  const isMore = secs > 0;
  if (Math.abs(secs) < 0.0005)
    return html`<span class="diff"
      ><span class="diff-bar" aria-hidden="true"></span><span class="number muted">the same</span></span
    >`;
  return html`<span class="diff"
    ><span class="diff-bar" aria-hidden="true">
      <i
        class=${isMore ? (secs >= NOTABLE_SECS ? "more" : "") : "less"}
        style=${{ width: `${share}%`, left: isMore ? "50%" : `${50 - share}%` }}
      ></i
    ></span>
    <span class="number">${isMore ? "+" : "−"}${seconds(Math.abs(secs))}</span></span
  >`;
}

/** A cell with a length of time; a dash for none. */
function Secs({ of }) {
  return html`<td class=${`number ${of ? "" : "muted"}`}>${of ? seconds(of) : "–"}</td>`;
}

function Counts({ calls }) {
  const [one, other] = calls.map(countsOf);
  const text = ([, value, unit]) =>
    value === undefined ? "–" : unit === "s" ? seconds(value) : plainNumber(value);
  return html`<section class="panel">
    <h2>Counts</h2>
    <table class="numbers">
      <thead>
        <tr>
          <th>What</th>
          <th class="number">A</th>
          <th class="number">B</th>
        </tr>
      </thead>
      <tbody>
        ${one.map(
          (row, at) =>
            html`<tr key=${at} class=${row[1] === other[at][1] ? "is-same" : ""}>
              <th>${row[0]}</th>
              <td class="number">${text(row)}</td>
              <td class="number">${text(other[at])}</td>
            </tr>`,
        )}
      </tbody>
    </table>
  </section>`;
}

function Only({ letter, call, other }) {
  const found = onlyIn(call, other);
  return html`<div class="only">
    <h3><b class=${`side side-${letter === "A" ? 0 : 1}`}>${letter}</b> alone</h3>
    ${
      found.length
        ? found.map(
            ([kind, items]) =>
              html`<h4 key=${kind}>${kind}</h4>
                <ul>
                  ${items.map(
                    ({ text, node, times }) =>
                      html`<li key=${text}>
                        <a class="link" href=${`${addressOf(call.id)}/span/${encodeURIComponent(node.id)}`}
                          >${text}</a
                        >${times > 1 && html` <span class="muted">× ${times}</span>`}
                      </li>`,
                  )}
                </ul>`,
          )
        : html`<p class="muted">Nothing that ${letter === "A" ? "B" : "A"} does not have.</p>`
    }
  </div>`;
}
