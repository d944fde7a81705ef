/** One span: what it was, what went wrong, what it carries, and what it logged. */

import { Component, html } from "./preact.js";
import { Mark } from "./marks.js";
import { MEANINGS, N, SPAN_DOCS } from "./names.js";
import { count, duration, offset, plainNumber, seconds, timeOfDay } from "./format.js";
import { laneOfKind } from "./lanes.js";
import { Line, levelClass } from "./lines.js";
import { WaitBar } from "./waits.js";

const MOST_LINES = 100;
const MOST_CHILDREN = 12;
const SHORT_UNITS = { seconds: "s", milliseconds: "ms", bytes: "B", decibels: "dB" };

export class Details extends Component {
  constructor(props) {
    super(props);
    this.state = { explains: false, withChildren: true };
  }

  focus() {
    this._box?.focus();
  }

  render({ call, node, line, onSelect, onLine, onClose, onLight }, { explains, withChildren }) {
    if (!node && !line) return null;
    return html`<aside
      class="details scrolls"
      tabindex="-1"
      aria-label="Span"
      ref=${(box) => (this._box = box)}
    >
      ${line && html`<${LineDetails} line=${line} call=${call} />`}
      ${line && !node && html`<p class="nothing">The span of this line is not there${call.session.is_live ? " yet: a span comes when it has ended" : ""}.</p>`}
      ${node && this._span(call, node, line, { explains, withChildren, onSelect, onLine, onLight })}
      <button class="close" aria-label="Close" title="Close (Escape)" onClick=${onClose}>×</button>
    </aside>`;
  }

  _span(call, node, line, { explains, withChildren, onSelect, onLine, onLight }) {
    const wait = node.kind === "turn" && call.tree.waits.find((each) => each.turn === node);
    const all = withChildren ? call.linesBelow(node) : call.linesOf(node.id);
    const docs = SPAN_DOCS.get(node.kind);
    const at = [node.start, node.end].map((time) => offset(time - call.start, 3)).join(" – ");
    const placed = `${node.isProvisional ? " so far" : ""} · ${at} · ${timeOfDay(node.start)}`;
    return html`<header>
        <h2>
          <i class=${`dot k-${laneOfKind(node.kind).colour}`} aria-hidden="true"></i
          >${node.kind ? node.span.name : node.name}${" "} ${node.kind === "turn" && node.number}
        </h2>
        <p class="resource">${node.resource}</p>
        <p class="muted"><b>${duration(node.end - node.start)}</b>${placed}</p>
        <p class="links">
          ${node.parent && html`<button class="link" onClick=${() => onSelect(node.parent)}>↑ ${node.parent.name}</button>`}
          ${
            node.turn &&
            node.turn !== node &&
            node.turn !== node.parent &&
            html`<button class="link" onClick=${() => onSelect(node.turn)}>turn ${node.turn.number}</button>`
          }
        </p>
      </header>
      ${node.error && html`<${Failure} node=${node} />`}
      ${
        wait &&
        html`<section>
          <h3>Waited ${seconds(wait.total)} for the answer</h3>
          <${WaitBar} wait=${wait} scale=${wait.total} onLight=${onLight} />
          <dl class="facts">
            ${wait.parts.map(
              (part) =>
                html`<dt key=${part.part}>
                    <i class=${`dot w-${part.part}`} aria-hidden="true"></i>${part.label}
                  </dt>
                  <dd>${seconds(part.secs)}</dd>`,
            )}
          </dl>
        </section>`
      }
      <${Facts}
        node=${node}
        explains=${explains}
        onExplain=${() => this.setState({ explains: !explains })}
        docs=${docs}
      />
      ${
        node.children.length > 0 &&
        html`<section>
          <h3>${count(node.children.length, "child", "children")}</h3>
          <ul class="children">
            ${node.children.slice(0, MOST_CHILDREN).map(
              (child) =>
                html`<li key=${child.id}>
                  <button class="link" onClick=${() => onSelect(child)}>
                    <i class=${`dot k-${laneOfKind(child.kind).colour}`} aria-hidden="true"></i
                    >${child.name}${" "}<span class="muted">${child.resource}</span>
                  </button>
                  ${child.error && html`<${Mark} kind="error" />`}<span class="number"
                    >${duration(child.end - child.start)}</span
                  >
                </li>`,
            )}
          </ul>
          ${node.children.length > MOST_CHILDREN && html`<p class="muted">and ${node.children.length - MOST_CHILDREN} more, in Spans</p>`}
        </section>`
      }
      <section>
        <h3>
          ${count(all.length, "line")}
          <button
            class="chip"
            aria-pressed=${withChildren}
            onClick=${() => this.setState({ withChildren: !withChildren })}
          >
            with its children's
          </button>
        </h3>
        <ul class="own-lines">
          ${all.slice(0, MOST_LINES).map(
            (each) =>
              html`<li key=${each.n}>
                <button class=${each === line ? "is-current" : ""} onClick=${() => onLine(each)}>
                  <${Line} line=${each} call=${call} />
                </button>
              </li>`,
          )}
        </ul>
        ${all.length > MOST_LINES && html`<p class="muted">and ${all.length - MOST_LINES} more, in Lines</p>`}
      </section>`;
  }
}

function Failure({ node }) {
  const stack = node.tags[N.ERROR_STACK];
  return html`<section class="failure">
    <h3><${Mark} kind="error" />${node.tags[N.ERROR_TYPE] || "Error"}</h3>
    ${node.tags[N.ERROR_MESSAGE] && html`<p>${node.tags[N.ERROR_MESSAGE]}</p>`}
    ${
      stack &&
      html`<details>
        <summary>Traceback</summary>
        <pre tabindex="0">${stack}</pre>
      </details>`
    }
  </section>`;
}

function Facts({ node, explains, onExplain, docs }) {
  const hidden = new Set([N.ERROR_TYPE, N.ERROR_MESSAGE, N.ERROR_STACK]);
  const tags = Object.entries(node.tags).filter(([name]) => !hidden.has(name) || !node.error);
  const metrics = Object.entries(node.metrics).filter(([name]) => !name.startsWith("_"));
  const rows = [
    ...metrics.map(([name, value]) => [name, withUnit(name, value), "metric"]),
    ...tags.filter(([name]) => !name.startsWith("_")).map(([name, value]) => [name, String(value), "tag"]),
  ];
  if (!rows.length && !docs) return null;
  return html`<section>
    <h3>
      Tags and metrics <button class="chip" aria-pressed=${explains} onClick=${onExplain}>explain</button>
    </h3>
    ${explains && docs && html`<p class="meaning">Opens: ${docs[0]}. Closes: ${docs[1]}.</p>`}
    <dl class="facts">
      ${rows.map(([name, value, kind]) => {
        const meaning = MEANINGS.get(name)?.[0];
        return html`<dt key=${name} title=${meaning}>${name}</dt>
          <dd class=${kind}>
            ${value.length > 80 || value.includes("\n") ? html`<pre tabindex="0">${value}</pre>` : value}
            ${explains && meaning && html`<span class="meaning">${meaning}</span>`}
          </dd>`;
      })}
    </dl>
  </section>`;
}

function withUnit(name, value) {
  const unit = MEANINGS.get(name)?.[1];
  if (unit === "seconds" && value < 60) return seconds(value);
  return SHORT_UNITS[unit] ? `${plainNumber(value)} ${SHORT_UNITS[unit]}` : plainNumber(value);
}

function LineDetails({ line, call }) {
  const values = Object.entries(line.fields || {});
  const place = [line.logger, line.function].filter(Boolean).join(".");
  return html`<section class=${`line-details ${levelClass(line.level)}`}>
    <h3>
      Line <b class="level">${line.level}</b> <span class="muted">${offset(line.t - call.start, 3)}</span>
    </h3>
    <pre tabindex="0">${line.msg}</pre>
    <p class="muted">
      ${place}${line.line ? `:${line.line}` : ""}${line.participant_name ? ` · ${line.participant_name}` : ""}
    </p>
    ${
      values.length > 0 &&
      html`<dl class="facts">
        ${values.map(
          ([name, value]) =>
            html`<dt key=${name}>${name}</dt>
              <dd>${typeof value === "string" ? value : JSON.stringify(value)}</dd>`,
        )}
      </dl>`
    }
    ${
      line.error &&
      html`<details>
        <summary>${line.error.kind || "Error"}: ${line.error.message}</summary>
        <pre tabindex="0">${line.error.stack}</pre>
      </details>`
    }
  </section>`;
}
