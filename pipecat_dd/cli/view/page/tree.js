/** All spans as a tree: the same as the score, for reading, for searching, and for the keyboard. */

import { Component, html } from "./preact.js";
import { gapCountOf } from "./call.js";
import { Mark } from "./marks.js";
import { N } from "./names.js";
import { count, duration, offset } from "./format.js";
import { laneOfKind } from "./lanes.js";
import { Rows } from "./rows.js";

/** Whether a span has a text in its name, its resource or its tags. */
export function spanHas(node, text) {
  const has = (value) => typeof value === "string" && value.toLowerCase().includes(text);
  return (
    has(node.span.name) ||
    has(node.resource) ||
    Object.entries(node.tags).some(([name, value]) => has(value) || has(name))
  );
}

export class Tree extends Component {
  constructor(props) {
    super(props);
    this.state = { closed: new Set() };
  }

  /** The spans in their order, those below a closed one left out; of a search only what it found. */
  _rows() {
    const { call, found } = this.props;
    const { closed } = this.state;
    const key = [call, call.version, found, closed];
    if (this._key?.every((value, at) => value === key[at])) return this._found;
    this._key = key;
    const rows = [];
    const visit = (node, depth) => {
      if (!found || found.has(node.id)) rows.push({ node, depth });
      if (found || !closed.has(node.id)) for (const child of node.children) visit(child, depth + 1);
    };
    for (const root of call.tree.roots) visit(root, 0);
    this._found = rows;
    return rows;
  }

  _toggle(node, opens) {
    const closed = new Set(this.state.closed);
    if (opens ?? closed.has(node.id)) closed.delete(node.id);
    else closed.add(node.id);
    this.setState({ closed });
  }

  componentDidUpdate(before) {
    const { selected } = this.props;
    if (!selected || selected === before.selected) return;
    let closed;
    for (let at = selected.parent; at; at = at.parent)
      if (this.state.closed.has(at.id)) (closed ||= new Set(this.state.closed)).delete(at.id);
    if (closed) this.setState({ closed });
  }

  render({ call, selected, onSelect, onOpen }, { closed }) {
    const rows = this._rows();
    return html`<div class="tree">
      <div class="panel-bar">
        <button
          class="chip"
          onClick=${() => this.setState({ closed: new Set(call.turns.map((turn) => turn.id)) })}
        >
          turns only
        </button>
        <button class="chip" onClick=${() => this.setState({ closed: new Set() })}>all</button>
        <span class="grow"></span>
        <span class="muted" role="status">${count(rows.length, "span")}</span>
      </div>
      <${Rows}
        id="spans"
        items=${rows}
        height=${22}
        role="tree"
        itemRole="treeitem"
        label="Spans"
        current=${selected ? rows.findIndex((row) => row.node === selected) : -1}
        nothing="No span."
        onGo=${(at) => onSelect(rows[at].node)}
        onOpen=${onOpen}
        onKey=${(event) => {
          if (!selected || !["ArrowLeft", "ArrowRight"].includes(event.key)) return false;
          if (event.key === "ArrowRight") this._toggle(selected, true);
          else if (closed.has(selected.id) || !selected.children.length)
            selected.parent && onSelect(selected.parent);
          else this._toggle(selected, false);
          return true;
        }}
        about=${({ node, depth }) => ({
          "aria-level": depth + 1,
          "aria-expanded": node.children.length ? !closed.has(node.id) : undefined,
        })}
        row=${({ node, depth }) =>
          html`<div class="span-row" style=${{ paddingLeft: `${8 + Math.min(depth, 12) * 14}px` }}>
            <span
              class="twisty"
              aria-hidden="true"
              onClick=${(event) => {
                if (!node.children.length) return;
                event.stopPropagation();
                this._toggle(node);
              }}
              >${node.children.length ? (closed.has(node.id) ? "▸" : "▾") : ""}</span
            >
            <i class=${`dot k-${laneOfKind(node.kind).colour}`} aria-hidden="true"></i>
            <b>${node.name}${node.kind === "turn" && node.number !== undefined ? ` ${node.number}` : ""}</b>
            <span class="msg muted">${node.resource}</span>
            ${node.error && html`<${Mark} kind="error" says=${`error ${node.tags[N.ERROR_TYPE] || ""}`} />`}
            ${gapCountOf(node) && html`<${Mark} kind="gap" says=${`gaps ${gapCountOf(node).what}`} />`}
            ${node.isInterrupted && html`<${Mark} kind="interruption" says="interrupted" />`}
            <span class="number muted">${offset(node.start - call.start)}</span>
            <span class="number">${duration(node.end - node.start)}</span>
          </div>`}
      />
    </div>`;
  }
}
