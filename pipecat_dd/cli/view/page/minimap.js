/** The whole call in a strip: who spoke when, what went wrong, and what of it is seen below. */

import { fitCanvas } from "./pens.js";

export const MINIMAP = 34;

/** Draw a call's speech and marks across a canvas's width. */
export function paintMinimap(canvas, call, width, height, colours, viewport) {
  const ctx = fitCanvas(canvas, width, height);
  const first = viewport ? viewport.first : call.start;
  const last = viewport ? viewport.last : call.end;
  const x = (time) => ((time - first) / (last - first)) * width;
  ctx.fillStyle = colours.panel;
  ctx.fillRect(0, 0, width, height);
  const high = (height - 10) / 2;
  const drawn = { user: -1, bot: -1 };
  for (const node of call.tree.all) {
    const who = node.kind === "user_speech" ? "user" : node.kind === "bot_speech" ? "bot" : undefined;
    if (!who) continue;
    const left = x(node.start);
    const right = Math.max(left + 1, x(node.end));
    if (right < drawn[who] + 0.5) continue;
    drawn[who] = right;
    ctx.fillStyle = colours.kind[who];
    ctx.fillRect(left, who === "user" ? 4 : 6 + high, right - left, high);
  }
  ctx.fillStyle = colours.mark;
  let last_x = -9;
  for (const mark of call.tree.marks) {
    const at = x(mark.start);
    if (mark.kind !== "error" && at - last_x < 2) continue;
    last_x = at;
    ctx.fillStyle = mark.kind === "error" || mark.kind === "block" ? colours.error : colours.mark;
    ctx.beginPath();
    ctx.moveTo(at - 3.5, 0);
    ctx.lineTo(at + 3.5, 0);
    ctx.lineTo(at, 6);
    ctx.fill();
    ctx.fillRect(at - 0.5, 0, 1, height);
  }
  if (!viewport) return;
  const [from, to] = [x(viewport.from), x(viewport.to)];
  ctx.fillStyle = colours.shade;
  ctx.fillRect(0, 0, from, height);
  ctx.fillRect(to, 0, width - to, height);
  ctx.strokeStyle = colours.ink;
  ctx.lineWidth = 1.5;
  ctx.strokeRect(Math.max(0.75, from), 0.75, Math.min(width - 0.75, to) - Math.max(0.75, from), height - 1.5);
  ctx.lineWidth = 1;
}
