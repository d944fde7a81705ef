/** One conversation: its score, its turns, its lines and what is selected of it. */

import { Component, html } from "./preact.js";
import { N } from "./names.js";
import { iso, moment, seconds } from "./format.js";
import { Details } from "./details.js";
import { Figures, LiveDot, howItEnded, titleOf } from "./figures.js";
import { ALL_LINES, Lines } from "./lines.js";
import { Score } from "./score.js";
import { Tree, spanHas } from "./tree.js";
import { Turns } from "./turns.js";

const PANELS = ["Turns", "Lines", "Spans", "Span"];
const PAUSE_MS = 120;

export class CallView extends Component {
  constructor(props) {
    super(props);
    this.state = {
      isPainted: false,
      node: undefined,
      line: undefined,
      light: undefined,
      text: "",
      filters: ALL_LINES,
      panel: "Lines",
      left: true,
    };
  }

  componentDidMount() {
    this._turnsBefore = this.props.call.turns.filter((turn) => !turn.isProvisional).length;
    const { span } = this.props;
    if (span) this._select(this.props.call.node(span));
    // The score first: the panels come with the frame after it.
    this._first = requestAnimationFrame(
      () => (this._first = setTimeout(() => this.setState({ isPainted: true }))),
    );
  }

  componentWillUnmount() {
    cancelAnimationFrame(this._first);
    clearTimeout(this._first);
    clearTimeout(this._pause);
  }

  componentDidUpdate(before) {
    const { call, span } = this.props;
    if (span && span !== before.span) this._select(call.node(span));
    // A span that has come anew is another node.
    const { node } = this.state;
    if (node && call.node(node.id) !== node) this.setState({ node: call.node(node.id) });
    const turns = call.turns.filter((turn) => !turn.isProvisional);
    if (call.session.is_live && turns.length > this._turnsBefore) {
      const turn = turns.at(-1);
      const latency = turn.metrics[N.TURN_USER_BOT_LATENCY_SECONDS];
      this._says.textContent = `Turn ${turn.number ?? turns.length}${latency === undefined ? "" : `, answered after ${seconds(latency)}`}`;
    }
    this._turnsBefore = turns.length;
  }

  _select = (node) => {
    // A line stays selected with its own span only.
    this.setState(({ line }) => ({
      node,
      line: node && line?.span === node.id ? line : undefined,
      panel: node ? "Span" : this.state.panel === "Span" ? "Lines" : this.state.panel,
    }));
  };

  _selectLine = (line) =>
    this.setState({ line, node: this.props.call.node(line.span), panel: this.state.panel });

  _light = (light) => this.setState({ light });

  _open = () => this.setState({ panel: "Span" }, () => this._details?.focus());

  _close = () => {
    this._select(undefined);
    this.setState({ line: undefined });
    this._score.focus();
  };

  /** Go to the next mark of a kind behind what is selected, round and round. */
  _go = (kind) => {
    const { tree } = this.props.call;
    if (kind === "slowest") {
      const waits = [...tree.waits].sort((one, other) => other.total - one.total);
      if (waits.length) this._select(waits[0].turn);
      return;
    }
    // The figure counts the gaps that the user heard.
    const isCounted = (mark) => mark.kind === kind && mark.node.kind !== "user_speech";
    const marks = tree.marks.filter(isCounted);
    const at = marks.findIndex((mark) => mark.node === this.state.node);
    if (marks.length) this._select(marks[(at + 1) % marks.length].node);
  };

  _search(text) {
    clearTimeout(this._pause);
    this._pause = setTimeout(() => this.setState({ text: text.trim().toLowerCase() }), PAUSE_MS);
  }

  /** The spans that the search found; undefined where nothing is searched. */
  _found() {
    const { call } = this.props;
    const { text } = this.state;
    if (!text) return undefined;
    if (
      this._searched?.text !== text ||
      this._searched.version !== call.version ||
      this._searched.call !== call
    ) {
      const ids = new Set(call.tree.all.filter((node) => spanHas(node, text)).map((node) => node.id));
      this._searched = { text, version: call.version, call, ids };
    }
    return this._searched.ids;
  }

  /** Keys that work wherever the focus is; whether this was one. */
  globalKey(event) {
    if (event.key === "/") {
      this._searchBox.focus();
      this._searchBox.select();
      return true;
    }
    if (event.key === "Escape") {
      if (this.state.light) this._light(undefined);
      else if (this.state.node || this.state.line) this._close();
      else return false;
      return true;
    }
    return this._score.globalKey(event.key);
  }

  _searchKey(event) {
    if (event.key === "Escape") {
      event.target.value = "";
      this._search("");
      this._score.focus();
    } else if (event.key === "Enter") {
      // From one that was found to the next.
      const found = this._found();
      const all = this.props.call.tree.all.filter((node) => found?.has(node.id));
      if (all.length)
        this._select(
          all[(all.indexOf(this.state.node) + (event.shiftKey ? all.length - 1 : 1)) % all.length],
        );
    } else return;
    event.preventDefault();
    event.stopPropagation();
  }

  render({ call, isReport }, { isPainted, node, line, light, filters, panel, text }) {
    const { session } = call;
    const found = this._found();
    const tab = panel;
    const has = (name) => tab === name;
    const middle = has("Spans") ? "Spans" : has("Lines") ? "Lines" : this._middle || "Lines";
    this._middle = middle;
    const isOpen = Boolean(node || line);
    return html`<main class=${`call ${isOpen ? "has-details" : ""} shows-${tab.toLowerCase()}`}>
      <header class="call-head">
        <div class="call-title">
          <div>
            <h1>${titleOf(session)}</h1>
            ${session.is_live ? html`<${LiveDot} />` : html`<span class="outcome">${howItEnded(session)}</span>`}
          </div>
          <p class="muted">
            ${titleOf(session) !== session.name && html`<bdi>${session.name}</bdi> · `}<time datetime=${iso(session.start)}>${moment(session.start)}</time> · <code>${session.id}</code>
          </p>
        </div>
        <${Figures} session=${session} end=${session.end ?? call.end} onGo=${this._go} />
        <label class="search"
          ><span class="sr-only">Search spans and lines</span>
          <input
            type="search"
            placeholder="Search spans and lines"
            ref=${(box) => (this._searchBox = box)}
            aria-keyshortcuts="/"
            onInput=${(event) => this._search(event.target.value)}
            onKeyDown=${(event) => this._searchKey(event)}
          />
          <kbd aria-hidden="true">/</kbd>
          ${text && html`<span class="muted" role="status">${found.size} spans</span>`}
        </label>
      </header>
      <${Score}
        ref=${(score) => (this._score = score)}
        call=${call}
        isLive=${session.is_live && !isReport}
        selected=${node}
        line=${line}
        light=${light}
        found=${found}
        onSelect=${this._select}
        onOpen=${this._open}
      />
      <div class="panel-tabs" role="group" aria-label="Panels">
        ${PANELS.map((name) => html`<button key=${name} aria-pressed=${tab === name} disabled=${name === "Span" && !isOpen} onClick=${() => this.setState({ panel: name })}>${name}</button>`)}
      </div>
      <div class="panels">
        ${
          isPainted &&
          html`<section class="panel of-turns" aria-label="Turns">
            <h2>Turns</h2>
            <${Turns}
              call=${call}
              selected=${node}
              onSelect=${this._select}
              onLight=${this._light}
              onChoosePart=${(part) => this._light({ ...part, reveals: true })}
            />
          </section>`
        }
        ${
          isPainted &&
          html`<section class="panel of-lines" aria-label=${middle}>
            <div class="panel-head" role="group" aria-label="Lines or spans">
              ${["Lines", "Spans"].map((name) => html`<button key=${name} aria-pressed=${middle === name} onClick=${() => this.setState({ panel: name })}>${name}</button>`)}
            </div>
            ${
              middle === "Spans"
                ? html`<${Tree}
                    call=${call}
                    found=${found}
                    selected=${node}
                    onSelect=${(each) => this._selectKeeping(each)}
                    onOpen=${this._open}
                  />`
                : html`<${Lines}
                    call=${call}
                    filters=${filters}
                    text=${text}
                    selected=${node}
                    line=${line}
                    onFilter=${(changed) => this.setState({ filters: changed })}
                    onLine=${this._selectLine}
                    onOpen=${this._open}
                  />`
            }
          </section>`
        }
        ${
          isPainted &&
          isOpen &&
          html`<section class="panel of-span" aria-label="Span">
            <${Details}
              ref=${(details) => (this._details = details)}
              call=${call}
              node=${node}
              line=${line}
              onSelect=${this._select}
              onLine=${this._selectLine}
              onClose=${this._close}
              onLight=${this._light}
            />
          </section>`
        }
      </div>
      <p class="sr-only" role="status" aria-live="polite" ref=${(says) => (this._says = says)}></p>
    </main>`;
  }

  /** Select without leaving the panel that the keyboard is in. */
  _selectKeeping(node) {
    this.setState(({ line }) => ({ node, line: line?.span === node.id ? line : undefined }));
  }
}
