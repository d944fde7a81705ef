/** Which lane each span stands in, and in which of the lane's rows. */

import { lowerBound } from "./medians.js";

const TALL = 20;
const MIDDLE = 16;
const LOW = 8;
const THIN = 11;

/** The lanes from top to bottom. `colour` is that of the style sheet. */
export const LANES = [
  { id: "turns", label: "turns", kinds: ["turn"], colour: "turn", height: MIDDLE },
  { id: "participants", label: "participants", kinds: ["participant"], colour: "person", height: MIDDLE },
  { id: "user", label: "user speaks", kinds: ["user_speech"], colour: "user", height: TALL, isSolid: true },
  { id: "eot", label: "end of turn", kinds: ["end_of_turn"], colour: "eot", height: MIDDLE },
  { id: "stt", label: "stt", kinds: ["stt"], colour: "stt", height: MIDDLE },
  { id: "llm", label: "llm", kinds: ["llm"], colour: "llm", height: MIDDLE },
  { id: "tools", label: "tools", kinds: ["tool"], colour: "tool", height: MIDDLE, labelsBeside: true },
  { id: "tts", label: "tts", kinds: ["tts"], colour: "tts", height: MIDDLE },
  { id: "bot", label: "bot speaks", kinds: ["bot_speech"], colour: "bot", height: TALL, isSolid: true },
  {
    id: "blocked",
    label: "blocked loop",
    kinds: ["blocked"],
    colour: "blocked",
    height: MIDDLE,
    labelsBeside: true,
  },
  {
    id: "events",
    label: "events",
    kinds: ["service.event", "participant.event"],
    colour: "event",
    height: MIDDLE,
    labelsBeside: true,
  },
  { id: "other", label: "bot's own code", kinds: [], colour: "other", height: MIDDLE, labelsBeside: true },
  { id: "startup", label: "start-up", kinds: ["startup"], colour: "startup", height: LOW, mostRows: 2 },
  { id: "frames", label: "frames", kinds: ["frame"], colour: "frame", height: MIDDLE },
];

const LANE_OF = new Map(LANES.flatMap((lane) => lane.kinds.map((kind) => [kind, lane])));
const BY_ID = new Map(LANES.map((lane) => [lane.id, lane]));
const MOST_ROWS = 4;
const MOST_THIN_ROWS = 3;
const PAD = 3;
const BETWEEN = 1;
const LOWEST_LANE = 22; // its label needs that

/** The lane of a kind of span, with its colour. */
export function laneOfKind(kind) {
  return LANE_OF.get(kind) || BY_ID.get("other");
}

/** The lane that a span stands in; undefined for a session, which is the score itself. */
export function laneOf(node) {
  for (let at = node; at; at = at.parent) {
    if (at.kind === "session") return at === node ? undefined : BY_ID.get("other");
    if (at.kind === "turn" && at !== node) return BY_ID.get("other");
    const lane = LANE_OF.get(at.kind);
    // What a processor called is the bot's own work; whose frame it was is another matter.
    if (lane) return lane.id === "frames" && at !== node ? BY_ID.get("other") : lane;
  }
  return BY_ID.get("other");
}

/** Spans that are drawn at one height, ordered by start. */
class LaneRow {
  constructor(isThin) {
    this.isThin = isThin;
    this.nodes = [];
    this.lastEnd = -Infinity;
  }

  add(node) {
    this.nodes.push(node);
    this.lastEnd = Math.max(this.lastEnd, node.end);
  }

  /** Make it quick to search. */
  settle() {
    const size = this.nodes.length;
    this.starts = new Float64Array(size);
    this.maxEnds = new Float64Array(size);
    this.errors = new Uint32Array(size + 1);
    let end = -Infinity;
    for (let at = 0; at < size; at += 1) {
      const node = this.nodes[at];
      end = Math.max(end, node.end);
      this.starts[at] = node.start;
      this.maxEnds[at] = end;
      this.errors[at + 1] = this.errors[at] + (node.error ? 1 : 0);
    }
  }

  /** The index of the first span that ends at a time or later. */
  first(time) {
    return lowerBound(this.maxEnds, time);
  }

  /** The span at a time, give or take; the shortest where several are. */
  at(time, slack) {
    let found;
    for (let at = this.first(time - slack); at < this.nodes.length; at += 1) {
      const node = this.nodes[at];
      if (node.start > time + slack) break;
      if (node.end < time - slack) continue;
      if (!found || node.end - node.start <= found.end - found.start) found = node;
    }
    return found;
  }
}

/** All lanes of a call with what stands in them, and where each is from the top, in pixels. */
export function layOut(call, { showsFrames, showsLibraries }) {
  const lanes = new Map();
  for (const node of call.tree.all) {
    const lane = laneOf(node);
    if (!lane || (lane.id === "frames" && !showsFrames)) continue;
    const isOurs = lane.kinds.includes(node.kind);
    if (!isOurs && !showsLibraries) continue;
    if (!lanes.has(lane.id)) lanes.set(lane.id, { ...lane, main: [], thin: [] });
    place(lanes.get(lane.id), node, isOurs || lane.id === "other");
  }
  const rowOf = new Map();
  const found = [];
  let y = 0;
  for (const { id } of LANES) {
    const lane = lanes.get(id);
    if (!lane) continue;
    lane.y = y;
    lane.rows = [...lane.main, ...lane.thin];
    y += PAD;
    for (const row of lane.rows) {
      row.settle();
      row.lane = lane;
      row.y = y;
      row.height = row.isThin ? THIN : lane.height;
      y += row.height + BETWEEN;
      for (const node of row.nodes) rowOf.set(node, row);
    }
    y = Math.max(y + PAD - BETWEEN, lane.y + LOWEST_LANE);
    lane.bottom = y;
    found.push(lane);
  }
  /** The row of a span or, while its own is hidden, of what it is part of. */
  const rowShowing = (node) => {
    for (let at = node; at; at = at.parent) if (rowOf.has(at)) return rowOf.get(at);
    return undefined;
  };
  return { lanes: found, height: y, rowOf, rowShowing, rows: found.flatMap((lane) => lane.rows) };
}

/** All spans of a lane, ordered by start; worked out when somebody first walks along it. */
export function nodesOf(lane) {
  lane.nodes ||= lane.rows.flatMap((row) => row.nodes).sort((one, other) => one.start - other.start);
  return lane.nodes;
}

/** Put a span into the first row that is free by then. */
function place(lane, node, isMain) {
  const rows = isMain ? lane.main : lane.thin;
  const most = isMain ? lane.mostRows || MOST_ROWS : MOST_THIN_ROWS;
  let row = rows.find((each) => each.lastEnd <= node.start + 0.01);
  if (!row && rows.length < most) rows.push((row = new LaneRow(!isMain)));
  (row || rows.at(-1)).add(node);
}
