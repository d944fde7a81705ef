/** The turns in their order: how long each answer took and why, and what was said. */

import { Component, html } from "./preact.js";
import { Mark } from "./marks.js";
import { N, WAIT_PARTS } from "./names.js";
import { duration, offset, seconds } from "./format.js";
import { gapCountOf } from "./call.js";
import { largest, sum } from "./medians.js";
import { hasContent, saidIn } from "./said.js";
import { WaitBar, WaitLegend } from "./waits.js";

const AT_ONCE = 24;

export class Turns extends Component {
  constructor(props) {
    super(props);
    this.state = { first: 0, last: AT_ONCE };
  }

  componentDidMount() {
    if (this.props.call.session.is_live) this._toEnd();
  }

  componentDidUpdate(before) {
    const { call, selected } = this.props;
    const turn = selected?.turn;
    if (turn && turn !== before.selected?.turn) this._show(call.turns.indexOf(turn));
    else if (call.version !== this._version && call.session.is_live && this._wasAtEnd !== false)
      this._toEnd();
    this._version = call.version;
  }

  _toEnd() {
    const size = this.props.call.turns.length;
    if (this.state.last < size) this.setState({ first: Math.max(0, size - AT_ONCE), last: size });
    this._box.scrollTop = this._box.scrollHeight;
  }

  _show(at) {
    const { first, last } = this.state;
    const go = () => this._box.querySelector(`[data-turn="${at}"]`)?.scrollIntoView({ block: "nearest" });
    if (at >= first && at < last) go();
    else this.setState({ first: Math.max(0, at - 8), last: Math.max(0, at - 8) + AT_ONCE }, go);
  }

  _scrolled() {
    const box = this._box;
    const size = this.props.call.turns.length;
    const { first, last } = this.state;
    this._wasAtEnd = box.scrollTop + box.clientHeight >= box.scrollHeight - 30 && last >= size;
    if (last < size && box.scrollTop + box.clientHeight > box.scrollHeight - 400)
      this.setState({ last: last + AT_ONCE });
    if (first > 0 && box.scrollTop < 100) {
      const height = box.scrollHeight;
      this.setState(
        { first: Math.max(0, first - AT_ONCE) },
        () => (box.scrollTop += box.scrollHeight - height),
      );
    }
  }

  render({ call, selected, found, onSelect, onLight, onChoosePart }, { first, last }) {
    const { turns, waits } = call.tree;
    const scale = largest(waits.map((wait) => wait.total)) || 1;
    const byTurn = new Map(waits.map((wait) => [wait.turn, wait]));
    const used = WAIT_PARTS.filter(({ part }) =>
      waits.some((wait) => wait.parts.some((each) => each.part === part)),
    );
    return html`<div class="turns">
      ${used.length > 0 && html`<${WaitLegend} parts=${used} />`}
      <ol
        class="turn-list scrolls"
        tabindex="0"
        aria-label="Turns"
        ref=${(box) => (this._box = box)}
        onScroll=${() => this._scrolled()}
        start=${first + 1}
      >
        ${turns.slice(first, last).map((turn, index) => {
          const at = first + index;
          return html`<${TurnCard}
            key=${turn.id}
            ...${{ at, call, turn, scale, found, onSelect, onLight, onChoosePart }}
            wait=${byTurn.get(turn)}
            isCurrent=${selected?.turn === turn}
          />`;
        })}
      </ol>
      ${turns.length > 0 && !hasContent(call) && html`<p class="hint muted">What was said is not on the spans: it is there with <code>capture_content</code> alone.</p>`}
      ${!turns.length && html`<p class="nothing">${call.session.is_live ? "No turn yet." : "There was no turn."}</p>`}
    </div>`;
  }
}

function TurnCard({ at, call, turn, wait, scale, isCurrent, onSelect, onLight, onChoosePart }) {
  const outcome = turn.tags[N.TURN_OUTCOME];
  const gaps = turn.metrics[N.TURN_VOICE_GAP_COUNT];
  const lost = sum(turn.children.map((node) => (node.kind === "user_speech" && gapCountOf(node)?.count) || 0));
  const blocked = turn.metrics[N.TURN_BLOCKED_SECONDS];
  const errors = turn.metrics[N.TURN_ERROR_COUNT];
  const flow = turn.tags[N.FLOW_NODE];
  return html`<li data-turn=${at} class=${`turn ${isCurrent ? "is-current" : ""}`}>
    <div class="turn-head">
      <button class="turn-name" aria-pressed=${isCurrent} onClick=${() => onSelect(turn)}>
        <b>${turn.number ?? at + 1}</b>${" "}<span class="muted">${offset(turn.start - call.start)}</span>
        <span class="sr-only">turn, begun by the ${turn.resource}</span>
      </button>
      ${
        wait
          ? html`<span class="turn-wait"
                ><${WaitBar} wait=${wait} scale=${scale} onLight=${onLight} onChoose=${onChoosePart}
              /></span>
              <b class="turn-secs">${seconds(wait.total)}</b>`
          : html`<span class="turn-wait muted"
                >${turn.isProvisional ? "goes on" : turn.resource === "bot" && !turn.isUnfinished ? "the bot began" : outcome || (turn.isUnfinished ? "its end was not received" : "no answer")}</span
              >
              <span class="turn-secs muted">${duration(turn.end - turn.start)}</span>`
      }
    </div>
    ${
      (outcome === "interrupted" ||
        outcome === "failed" ||
        outcome === "unanswered" ||
        gaps > 0 ||
        lost > 0 ||
        blocked > 0 ||
        errors > 0 ||
        flow) &&
      html`<p class="turn-marks">
        ${flow && html`<span class="muted">${flow}</span>`}
        ${outcome === "interrupted" && html`<span><${Mark} kind="interruption" />interrupted</span>`}
        ${(outcome === "failed" || outcome === "unanswered") && html`<span class="bad">${outcome}</span>`}
        ${gaps > 0 && html`<span><${Mark} kind="gap" />${gaps === 1 ? "a gap" : `${gaps} gaps`} of ${seconds(turn.metrics[N.TURN_VOICE_GAP_SECONDS] || 0)}</span>`}
        ${lost > 0 && html`<span><${Mark} kind="gap" />${lost === 1 ? "a gap" : `${lost} gaps`} in the user's audio</span>`}
        ${blocked > 0 && html`<span><${Mark} kind="block" />loop blocked ${seconds(blocked)}</span>`}
        ${errors > 0 && html`<span class="bad"><${Mark} kind="error" />${errors === 1 ? "an error" : `${errors} errors`}</span>`}
      </p>`
    }
    ${saidIn(turn).map((said) => html`<${Utterance} key=${said.node.id} said=${said} name=${said.who === "user" && call.session.participants > 1 && call.nameOf(said.node.tags[N.PARTICIPANT_ID])} onSelect=${onSelect} />`)}
  </li>`;
}

function Utterance({ said, name, onSelect }) {
  return html`<div class=${`said ${said.who}`}>
    <button
      class="who"
      tabindex="-1"
      onClick=${() => onSelect(said.node)}
      title=${name || undefined}
      aria-label=${`${name || said.who}: show the span`}
    >
      ${name || said.who}
    </button>
    <p>
      ${
        said.unheard === undefined
          ? said.text
          : html`${said.heard}<del>${said.unheard}</del>
              <small
                >${said.allSecs === undefined ? "not heard: it was cut off before its first word" : html`about ${seconds(said.unheardSecs)} of ${seconds(said.allSecs)} not heard; where the text is
                struck is an estimate`}</small
              >`
      }
    </p>
  </div>`;
}
