/** What a score is drawn with: text that fits, hatching, rounded bars, and marks' letters. */

const widths = new Map();

export function textWidth(ctx, text, font) {
  const key = font + text;
  let width = widths.get(key);
  if (width === undefined) {
    if (widths.size > 4000) widths.clear();
    ctx.font = font;
    widths.set(key, (width = ctx.measureText(text).width));
  }
  return width;
}

/** As much of a text as there is room for. */
export function fitting(ctx, text, room, font) {
  const width = textWidth(ctx, text, font);
  if (width <= room) return text;
  const kept = Math.floor((text.length * (room - 8)) / width);
  return kept < 3 ? "" : `${text.slice(0, kept)}…`;
}

/** Sizes a canvas to its element, as sharp as the screen is. */
export function fitCanvas(canvas, width, height) {
  const ratio = window.devicePixelRatio || 1;
  const [wide, high] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== wide || canvas.height !== high) {
    canvas.width = wide;
    canvas.height = high;
    canvas.style.width = `${width}px`;
    canvas.style.height = `${height}px`;
  }
  const ctx = canvas.getContext("2d");
  ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
  return ctx;
}

/** A pattern of slanted strokes. */
export function hatching(ctx, colour, gap = 5) {
  const tile = document.createElement("canvas");
  tile.width = tile.height = gap;
  const pen = tile.getContext("2d");
  pen.strokeStyle = colour;
  pen.lineWidth = 1.2;
  pen.beginPath();
  pen.moveTo(-1, gap + 1);
  pen.lineTo(gap + 1, -1);
  pen.moveTo(-1, 1);
  pen.lineTo(1, -1);
  pen.moveTo(gap - 1, gap + 1);
  pen.lineTo(gap + 1, gap - 1);
  pen.stroke();
  return ctx.createPattern(tile, "repeat");
}

export function rounded(ctx, x, y, wide, high, radius) {
  if (wide < 5) {
    ctx.fillRect(x, y, wide, high);
    return;
  }
  ctx.beginPath();
  ctx.roundRect(x, y, wide, high, radius);
  ctx.fill();
}

export function outline(ctx, x, y, wide, high, radius) {
  ctx.beginPath();
  ctx.roundRect(x, y, wide, high, radius);
  ctx.stroke();
}

/** Keep a text readable on a hatched ground. */
export function backed(ctx, text, x, y, font, colour) {
  const ink = ctx.fillStyle;
  ctx.fillStyle = colour;
  ctx.fillRect(x - 2, y - 6, textWidth(ctx, text, font) + 4, 12);
  ctx.fillStyle = ink;
}

/** A mark's letter on a shape of its own: round, square, or a diamond for errors. */
export function letter(ctx, text, x, y, ground, ink, font, kind) {
  ctx.fillStyle = ground;
  ctx.beginPath();
  if (kind === "error") {
    ctx.moveTo(x, y - 8);
    ctx.lineTo(x + 8, y);
    ctx.lineTo(x, y + 8);
    ctx.lineTo(x - 8, y);
    ctx.closePath();
  } else if (kind === "interruption") {
    ctx.moveTo(x - 7, y - 6);
    ctx.lineTo(x + 7, y - 6);
    ctx.lineTo(x + 5, y + 3);
    ctx.lineTo(x, y + 8);
    ctx.lineTo(x - 5, y + 3);
    ctx.closePath();
  } else if (kind === "gap") ctx.arc(x, y, 6.5, 0, 2 * Math.PI);
  else ctx.rect(x - 6, y - 6, 12, 12);
  ctx.fill();
  ctx.fillStyle = ink;
  ctx.font = `700 9px ${font}`;
  ctx.textAlign = "center";
  ctx.textBaseline = "middle";
  ctx.fillText(text, x, y + 0.5);
  ctx.textAlign = "start";
}
