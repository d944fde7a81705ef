/** A list of any length, of which only what is in sight is in the document. */

import { Component, html } from "./preact.js";

const BEYOND = 8;

export class Rows extends Component {
  constructor(props) {
    super(props);
    this.state = { top: 0, room: 400 };
  }

  componentDidMount() {
    this._sizes = new ResizeObserver(() => this._measure());
    this._sizes.observe(this._box);
    this._measure();
  }

  componentWillUnmount() {
    this._sizes.disconnect();
  }

  componentDidUpdate(before) {
    const { current, items, height, near, sticksToEnd } = this.props;
    if (current !== before.current && current >= 0) this._reveal(current);
    else if (near !== before.near && near >= 0) this._box.scrollTop = Math.max(0, near - 1) * height;
    else if (sticksToEnd && items !== before.items && this._wasAtEnd)
      this._box.scrollTop = items.length * height;
  }

  _measure() {
    this.setState({ top: this._box.scrollTop, room: this._box.clientHeight });
  }

  _reveal(at) {
    const { height } = this.props;
    const box = this._box;
    if (at * height < box.scrollTop) box.scrollTop = at * height;
    else if ((at + 1) * height > box.scrollTop + box.clientHeight)
      box.scrollTop = (at + 1) * height - box.clientHeight;
  }

  _scrolled() {
    const box = this._box;
    this._wasAtEnd = box.scrollTop + box.clientHeight >= box.scrollHeight - this.props.height;
    this._measure();
  }

  _key(event) {
    const { items, current, height, onGo, onOpen, onKey } = this.props;
    const page = Math.max(1, Math.floor(this.state.room / height) - 1);
    const by = { ArrowUp: -1, ArrowDown: 1, PageUp: -page, PageDown: page, Home: -Infinity, End: Infinity }[
      event.key
    ];
    if (by !== undefined && !event.shiftKey) {
      if (items.length) onGo(Math.min(items.length - 1, Math.max(0, current < 0 ? 0 : current + by)));
    } else if (event.key === "Enter" && current >= 0) onOpen?.(current);
    else if (!onKey?.(event)) return;
    event.preventDefault();
    event.stopPropagation();
  }

  render({ id, items, height, current, row, role, itemRole, label, nothing }, { top, room }) {
    const first = Math.max(0, Math.floor(top / height) - BEYOND);
    const last = Math.min(items.length, Math.ceil((top + room) / height) + BEYOND);
    const shown = [];
    for (let at = first; at < last; at += 1) shown.push(at);
    // What has the focus is in the document, wherever it is.
    if (current >= 0 && current < items.length && (current < first || current >= last)) shown.push(current);
    return html`<div
      class="rows"
      id=${id}
      tabindex="0"
      role=${role}
      aria-label=${label}
      aria-activedescendant=${current >= 0 && current < items.length ? `${id}-${current}` : undefined}
      ref=${(box) => (this._box = box)}
      onScroll=${() => this._scrolled()}
      onKeyDown=${(event) => this._key(event)}
    >
      <div class="rows-all" role="presentation" style=${{ height: `${items.length * height}px` }}>
        ${shown.map(
          (at) =>
            html`<div
              key=${at}
              id=${`${id}-${at}`}
              role=${itemRole}
              class=${`row ${at === current ? "is-current" : ""}`}
              aria-selected=${at === current}
              aria-posinset=${at + 1}
              aria-setsize=${items.length}
              ...${this.props.about?.(items[at])}
              style=${{ top: `${at * height}px`, height: `${height}px` }}
              onClick=${() => this.props.onGo(at)}
              onDblClick=${() => this.props.onOpen?.(at)}
            >
              ${row(items[at], at)}
            </div>`,
        )}
      </div>
      ${!items.length && html`<p class="nothing">${nothing}</p>`}
    </div>`;
  }
}
