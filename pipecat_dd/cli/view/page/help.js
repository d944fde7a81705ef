/** The keys, and how to read a score. */

import { Component, html } from "./preact.js";
import { Mark } from "./marks.js";

const KEYS = [
  ["/", "search"],
  ["Tab", "to the next control or panel"],
  ["← →", "in the score: to the span before or after in the lane"],
  ["↑ ↓", "to the lane above or below; in a list, to the row"],
  ["[ ]", "to the turn before or after"],
  ["Enter", "show the span, with its tags and lines"],
  ["Esc", "close it; leave the search"],
  ["Shift ← →", "move along"],
  ["+ −", "zoom; also the wheel"],
  ["0", "show the whole call"],
  ["z", "zoom to the span"],
  ["f", "follow the end of a live call"],
  ["l r", "libraries' spans; frames"],
  ["?", "this help"],
];

export class Help extends Component {
  componentDidMount() {
    this._before = document.activeElement;
    this._dialog.showModal();
  }

  componentWillUnmount() {
    this._before?.focus?.();
  }

  render({ onClose }) {
    return html`<dialog
      class="help"
      aria-label="Help"
      ref=${(dialog) => (this._dialog = dialog)}
      onClose=${onClose}
      onClick=${(event) => event.target === this._dialog && this._dialog.close()}
    >
      <h2>Keys</h2>
      <dl>
        ${KEYS.map(
          ([keys, what]) =>
            html`<dt key=${keys}>${keys.split(" ").map((key) => html`<kbd key=${key}>${key}</kbd>`)}</dt>
              <dd>${what}</dd>`,
        )}
      </dl>
      <h2>How to read a score</h2>
      <ul>
        <li>
          <${Mark} kind="interruption" /> the user cut the bot off: a torn edge, and a dashed line for what
          was not heard.
        </li>
        <li><${Mark} kind="gap" /> a gap in the bot's voice, or in the audio that came
          from the user: a hatched hole.</li>
        <li><${Mark} kind="block" /> the event loop stood still: hatched across all lanes.</li>
        <li><${Mark} kind="error" /> an error: a red, hatched frame.</li>
        <li>The thin bar before the bot speaks is the wait for the answer, part by part.</li>
      </ul>
      <form method="dialog"><button class="button primary">Close</button></form>
    </dialog>`;
  }
}
