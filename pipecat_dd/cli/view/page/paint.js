/** Draws a score on a canvas. What is in sight is found by search; what is too small is merged. */

import { duration, offset } from "./format.js";
import { barLabel } from "./labels.js";
import { MARKS } from "./marks.js";
import { lowerBound } from "./medians.js";
import { backed, fitting, hatching, letter, outline, rounded, textWidth } from "./pens.js";
import { tickStep } from "./viewport.js";

export const RULER = 22;
const FONT = "11px";
const SMALL = "9.5px";

export class Painter {
  constructor(colours) {
    this.colours = colours;
    this._hatching = new Map();
  }

  _hatch(ctx, colour) {
    if (!this._hatching.has(colour)) this._hatching.set(colour, hatching(ctx, colour));
    return this._hatching.get(colour);
  }

  /** Draw ruler, lanes, spans and marks. */
  paint(ctx, { call, layout, viewport, width, height, found }) {
    const c = this.colours;
    ctx.clearRect(0, 0, width, height);
    ctx.fillStyle = c.panel;
    ctx.fillRect(0, 0, width, height);
    this._turnsBehind(ctx, call, viewport, height);
    this._lanesBehind(ctx, layout, width);
    this._ruler(ctx, call, viewport, width, height);
    this._blocksBehind(ctx, call, viewport, height);
    ctx.save();
    ctx.beginPath();
    ctx.rect(0, RULER, width, height - RULER);
    ctx.clip();
    for (const row of layout.rows) this._row(ctx, row, viewport, width, found);
    const bot = layout.lanes.find((lane) => lane.id === "bot");
    if (bot) this._waits(ctx, call, viewport, bot);
    this._marks(ctx, call, layout, viewport);
    ctx.restore();
  }

  _turnsBehind(ctx, call, viewport, height) {
    ctx.fillStyle = this.colours.band;
    const turns = call.tree.turns;
    const starts = turns.map((turn) => turn.start);
    let last = -Infinity;
    for (let at = Math.max(0, lowerBound(starts, viewport.from) - 1); at < turns.length; at += 1) {
      const x = viewport.x(turns[at].start);
      if (x > viewport.width) break;
      if (at % 2 || x < last) continue;
      last = Math.max(x + 1, viewport.x(turns[at].end));
      ctx.fillRect(Math.round(x), RULER, Math.max(1, Math.round(last - x)), height);
    }
  }

  _lanesBehind(ctx, layout, width) {
    ctx.fillStyle = this.colours.rule;
    for (const lane of layout.lanes) ctx.fillRect(0, RULER + lane.bottom - 1, width, 1);
  }

  _ruler(ctx, call, viewport, width, height) {
    const c = this.colours;
    const { step, digits } = tickStep(viewport);
    ctx.font = `10px ${c.sans}`;
    ctx.textBaseline = "middle";
    const first = Math.ceil((viewport.from - call.start) / step) * step;
    for (let at = first; call.start + at <= viewport.to; at += step) {
      const x = Math.round(viewport.x(call.start + at));
      ctx.fillStyle = c.rule;
      ctx.fillRect(x, RULER, 1, height);
      ctx.fillStyle = c["rule-2"];
      ctx.fillRect(x, RULER - 5, 1, 5);
      ctx.fillStyle = c["ink-2"];
      ctx.fillText(offset(at, digits), x + 4, RULER / 2);
    }
    ctx.fillStyle = c["rule-2"];
    ctx.fillRect(0, RULER - 1, width, 1);
  }

  /** While the loop stands still, so does everything. */
  _blocksBehind(ctx, call, viewport, height) {
    const c = this.colours;
    for (const mark of call.tree.marks) {
      if (mark.kind !== "block" || mark.end < viewport.from || mark.start > viewport.to) continue;
      const x = viewport.x(mark.start);
      const wide = viewport.x(mark.end) - x;
      if (wide < 2) continue;
      ctx.globalAlpha = 0.28;
      ctx.fillStyle = this._hatch(ctx, c.kind.blocked);
      ctx.fillRect(x, RULER, wide, height);
      ctx.globalAlpha = 1;
    }
  }

  _row(ctx, row, viewport, width, found) {
    const { nodes, starts, errors } = row;
    const colour = this.colours.kind[row.lane.colour];
    const y = RULER + row.y;
    const msPerPixel = viewport.span / width;
    let at = row.first(viewport.from);
    while (at < nodes.length && starts[at] <= viewport.to) {
      const node = nodes[at];
      const x = viewport.x(node.start);
      const wide = viewport.x(node.end) - x;
      if (wide >= 1.5) {
        if (node.end >= viewport.from) this._bar(ctx, node, row, x, y, wide, colour, width, found, viewport);
        at += 1;
        continue;
      }
      // Whatever else begins within this pixel is too short to be seen, or comes with the next.
      const next = Math.max(at + 1, lowerBound(starts, node.start + msPerPixel, at));
      let big = next;
      for (let each = at + 1; each < next; each += 1)
        if (nodes[each].end - nodes[each].start >= 1.5 * msPerPixel) {
          big = each;
          break;
        }
      const hasError = errors[big] > errors[at];
      ctx.globalAlpha = found && !found.has(node.id) ? 0.25 : 1;
      ctx.fillStyle = hasError ? this.colours.error : colour;
      ctx.fillRect(x, y, hasError ? 2 : 1.3, row.height);
      if (row.lane.labelsBeside && !row.isThin && big === at + 1)
        this._labelBeside(ctx, node, row, x + 2, y, viewport);
      ctx.globalAlpha = 1;
      at = big;
    }
  }

  /** What a short bar is called stands beside it, where nothing else is. */
  _labelBeside(ctx, node, row, right, y, viewport) {
    const next = row.nodes[lowerBound(row.starts, node.start + 1e-3)];
    const isMarked = node.error || node.children.some((child) => child.error);
    const start = right + (isMarked ? 12 : 5);
    const room = (next ? viewport.x(next.start) : viewport.width) - start - 6;
    const font = `${SMALL} ${this.colours.sans}`;
    const text = room > 30 && start > 0 ? fitting(ctx, barLabel(node), Math.min(room, 150), font) : "";
    if (!text) return;
    ctx.font = font;
    ctx.textBaseline = "middle";
    ctx.fillStyle = this.colours["ink-2"];
    ctx.fillText(text, start, y + row.height / 2 + 0.5);
  }

  _bar(ctx, node, row, x, y, wide, colour, width, found, viewport) {
    const c = this.colours;
    const high = row.height;
    const left = Math.max(-4, x);
    const right = Math.min(width + 4, x + wide);
    const isFaded = found && !found.has(node.id);
    ctx.globalAlpha = isFaded ? 0.22 : 1;
    if (row.lane.isSolid && !row.isThin) {
      ctx.fillStyle = colour;
      rounded(ctx, left, y, right - left, high, 3);
    } else {
      ctx.globalAlpha *= row.isThin ? c.alpha * 0.8 : c.alpha;
      ctx.fillStyle = colour;
      rounded(ctx, left, y, right - left, high, 2);
      ctx.globalAlpha = isFaded ? 0.22 : 1;
      if (x >= -3) ctx.fillRect(left, y, Math.min(row.isThin ? 2 : 3, wide), high);
    }
    if (node.kind === "blocked") {
      ctx.fillStyle = this._hatch(ctx, colour);
      ctx.fillRect(left, y, right - left, high);
      ctx.strokeStyle = colour;
      ctx.strokeRect(left + 0.5, y + 0.5, right - left - 1, high - 1);
    }
    if (node.error) {
      ctx.fillStyle = this._hatch(ctx, c.error);
      ctx.fillRect(left, y, right - left, high);
      ctx.strokeStyle = c.error;
      ctx.lineWidth = 1.5;
      ctx.strokeRect(left + 0.75, y + 0.75, Math.max(1, right - left - 1.5), high - 1.5);
      ctx.lineWidth = 1;
    }
    if (node.isProvisional) {
      // Its end is not known yet: the right side is open.
      ctx.setLineDash([2, 3]);
      ctx.strokeStyle = colour;
      ctx.strokeRect(left + 0.5, y + 0.5, right - left, high - 1);
      ctx.setLineDash([]);
    }
    const font = `${row.isThin ? SMALL : FONT} ${c.sans}`;
    const start = Math.max(left, 0) + (row.lane.isSolid ? 5 : 6);
    let room = right - start - (node.error ? 16 : 4);
    if (row.lane.labelsBeside && !row.isThin && room < 40) {
      this._labelBeside(ctx, node, row, right, y, viewport);
      room = 0;
    }
    if (room > 16 && high > 9) {
      const text = fitting(ctx, barLabel(node), room, font);
      if (text) {
        ctx.font = font;
        ctx.textBaseline = "middle";
        ctx.fillStyle = row.lane.isSolid && !row.isThin ? c["on-solid"] : row.isThin ? c["ink-2"] : c.ink;
        if (node.error || node.kind === "blocked") backed(ctx, text, start, y + high / 2, font, c.panel);
        ctx.fillText(text, start, y + high / 2 + 0.5);
      }
    }
    ctx.globalAlpha = 1;
  }

  /** The wait before each answer stands right before it, in the bot's lane. */
  _waits(ctx, call, viewport, lane) {
    const row = lane.rows[0];
    const high = 8;
    const y = RULER + row.y + (row.height - high) / 2;
    for (const wait of call.tree.waits) {
      if (wait.end < viewport.from || wait.start > viewport.to) continue;
      const wide = viewport.x(wait.end) - viewport.x(wait.start);
      if (wide < 3) continue;
      for (const part of wait.parts) {
        const x = viewport.x(part.start);
        const right = viewport.x(part.end);
        ctx.fillStyle = this.colours.part[part.part];
        ctx.fillRect(x, y, Math.max(0.5, right - x - (right - x > 3 ? 1 : 0)), high);
      }
    }
  }

  _marks(ctx, call, layout, viewport) {
    const c = this.colours;
    const last = Object.fromEntries(Object.keys(MARKS).map((kind) => [kind, -Infinity]));
    for (const mark of call.tree.marks) {
      const row = layout.rowShowing(mark.node);
      if (!row || mark.end < viewport.from || mark.start > viewport.to) continue;
      const y = RULER + row.y;
      const x = viewport.x(mark.start);
      const right = viewport.x(mark.end);
      if (mark.kind === "gap" && !mark.isSomewhere) this._gap(ctx, x, y, right - x, row.height);
      if (mark.kind === "interruption") this._cut(ctx, x, y, row.height, mark.node, viewport);
      // Letters that would cover each other give way to the first.
      if (x - last[mark.kind] < 13) continue;
      last[mark.kind] = x;
      const colour = mark.kind === "error" ? c.error : c.mark;
      const middle =
        mark.kind === "gap" && !mark.isSomewhere ? (x + right) / 2 : mark.kind === "block" ? x + 8 : x;
      const wideEnough = mark.kind !== "gap" || right - x > 14;
      letter(
        ctx,
        MARKS[mark.kind].letter,
        middle,
        wideEnough && row.height >= 16 ? y + row.height / 2 : y - 1,
        colour,
        c["on-mark"],
        c.sans,
        mark.kind,
      );
    }
  }

  /** A gap is a hole in the voice. */
  _gap(ctx, x, y, wide, high) {
    const c = this.colours;
    wide = Math.max(2, wide);
    ctx.fillStyle = c.panel;
    ctx.fillRect(x, y - 1, wide, high + 2);
    ctx.fillStyle = this._hatch(ctx, c["ink-2"]);
    ctx.globalAlpha = 0.55;
    ctx.fillRect(x, y + 2, wide, high - 4);
    ctx.globalAlpha = 1;
    ctx.strokeStyle = c.mark;
    ctx.beginPath();
    ctx.moveTo(x + 0.5, y - 2);
    ctx.lineTo(x + 0.5, y + high + 2);
    ctx.moveTo(x + wide - 0.5, y - 2);
    ctx.lineTo(x + wide - 0.5, y + high + 2);
    ctx.stroke();
  }

  /** A cut has a torn edge, and beyond it a dashed line, as long as what was not heard. */
  _cut(ctx, x, y, high, node, viewport) {
    const c = this.colours;
    const unheard = node.unheardMs;
    if (unheard > 0) {
      const end = Math.round(viewport.x(node.end + unheard)) + 0.5;
      ctx.strokeStyle = c.kind.bot;
      ctx.setLineDash([3, 3]);
      ctx.beginPath();
      ctx.moveTo(x, y + high - 0.5);
      ctx.lineTo(end, y + high - 0.5);
      ctx.stroke();
      ctx.setLineDash([]);
      ctx.beginPath();
      ctx.moveTo(end, y + high - 4);
      ctx.lineTo(end, y + high + 1);
      ctx.stroke();
    }
    ctx.fillStyle = c.panel;
    ctx.beginPath();
    ctx.moveTo(x + 3, y - 1);
    for (let at = 0; at <= high; at += 5) ctx.lineTo(x - (at % 10 ? 4 : 0), y + at);
    ctx.lineTo(x + 3, y + high + 1);
    ctx.closePath();
    ctx.fill();
    ctx.strokeStyle = c.mark;
    ctx.lineWidth = 1.5;
    ctx.beginPath();
    ctx.moveTo(x, y - 3);
    for (let at = 0; at <= high; at += 5) ctx.lineTo(x - (at % 10 ? 4 : 0), y + at);
    ctx.lineTo(x, y + high + 3);
    ctx.stroke();
    ctx.lineWidth = 1;
  }

  /** Draw what is selected, pointed at or lit up, on a canvas of its own. */
  paintOver(ctx, { layout, viewport, width, height, selected, pointed, light, cursorX, line }) {
    const c = this.colours;
    ctx.clearRect(0, 0, width, height);
    if (light) this._light(ctx, light, viewport, layout, width, height);
    if (cursorX !== undefined) {
      ctx.fillStyle = c["rule-2"];
      ctx.fillRect(Math.round(cursorX), 0, 1, height);
    }
    if (line !== undefined && line >= viewport.from && line <= viewport.to) {
      const x = viewport.x(line);
      ctx.strokeStyle = c.focus;
      ctx.setLineDash([4, 3]);
      ctx.beginPath();
      ctx.moveTo(x, RULER);
      ctx.lineTo(x, height);
      ctx.stroke();
      ctx.setLineDash([]);
    }
    for (const [node, wide] of [
      [pointed, 1.25],
      [selected, 2.5],
    ]) {
      const row = node && layout.rowOf.get(node);
      if (!row) continue;
      const x = Math.max(-6, viewport.x(node.start));
      const right = Math.min(width + 6, Math.max(viewport.x(node.end), x + 2));
      ctx.strokeStyle = node === selected ? c.focus : c.ink;
      ctx.lineWidth = wide;
      outline(ctx, x - 1.5, RULER + row.y - 1.5, right - x + 3, row.height + 3, 4);
    }
  }

  /** Light up a part of a wait: the rest recedes. */
  _light(ctx, light, viewport, layout, width, height) {
    const c = this.colours;
    const x = Math.round(viewport.x(light.start));
    const wide = Math.max(2, Math.round(viewport.x(light.end)) - x);
    ctx.globalAlpha = 0.5;
    ctx.fillStyle = c.panel;
    ctx.fillRect(0, RULER, Math.max(0, x), height);
    ctx.fillRect(x + wide, RULER, width, height);
    ctx.globalAlpha = 1;
    const colour = c.part[light.part] || c.focus;
    ctx.fillStyle = colour;
    ctx.globalAlpha = 0.12;
    ctx.fillRect(x, RULER, wide, height);
    ctx.globalAlpha = 1;
    ctx.strokeStyle = colour;
    ctx.lineWidth = 2;
    ctx.strokeRect(x, RULER + 1, wide, height - RULER - 2);
    const text = `${light.label} ${duration(light.end - light.start)}`;
    const font = `600 11px ${c.sans}`;
    const room = textWidth(ctx, text, font) + 12;
    const left = Math.min(Math.max(0, x + wide / 2 - room / 2), width - room);
    ctx.fillStyle = c.mark;
    rounded(ctx, left, 2, room, RULER - 4, 3);
    ctx.font = font;
    ctx.textBaseline = "middle";
    ctx.fillStyle = c["on-mark"];
    ctx.fillText(text, left + 6, RULER / 2 + 0.5);
  }
}
