/** One conversation: its spans as a tree, its turns, its lines by span, and what went wrong where. */

import { N, WAIT_PARTS } from "./names.js";
import { largest, sum } from "./medians.js";

const TURN_WORK = new Set(["user_speech", "stt", "end_of_turn", "llm", "tts", "bot_speech"]);
const ABOVE_TURNS = new Set(["session", "startup", "participant", "turn"]);

/** A span with its place in the tree. */
class Node {
  constructor(span) {
    this.span = span;
    this.id = span.id;
    this.kind = span.kind;
    this.start = span.start;
    this.end = span.start + Math.max(0, span.dur || 0);
    this.error = Boolean(span.error);
    this.tags = span.tags || {};
    this.metrics = span.metrics || {};
    this.parent = undefined;
    this.turn = undefined;
    this.children = [];
    /** Of a turn: what was said in it, once somebody has asked. */
    this.said = undefined;
    /** Whether it goes on, and its end is not known. */
    this.isProvisional = false;
    /** Of a turn: whether it has not come itself, to the page or to the server. */
    this.isUnfinished = false;
    /** Whether it has not come itself, and only what is in it says that it is there. */
    this.isInferred = false;
  }

  /** What it is called: llm, openai.request. */
  get name() {
    return this.kind || this.span.name;
  }

  get resource() {
    return this.span.resource || "";
  }

  get isInterrupted() {
    return this.tags[N.INTERRUPTED] === "true";
  }

  /** How much of a speech was not heard, in milliseconds. */
  get unheardMs() {
    return (this.metrics[N.BOT_SPEECH_UNHEARD_SECONDS] || 0) * 1000;
  }

  get number() {
    return this.metrics[N.TURN_NUMBER];
  }

  /** The span and all below it, parents first. */
  *walk() {
    yield this;
    for (const child of this.children) yield* child.walk();
  }
}

export class Call {
  constructor({ session, spans, lines }) {
    this.session = session;
    this.nodes = new Map();
    this.lines = [];
    this.version = 0;
    this.addSpans(spans);
    this.addLines(lines);
  }

  /** Take spans in; one that is there already is replaced. */
  addSpans(spans) {
    for (const span of spans) this.nodes.set(span.id, new Node(span));
    this._tree = undefined;
    this.version += 1;
  }

  /** Take lines in, ordered by time; one that is there already is left out. */
  addLines(lines) {
    let fresh = lines;
    if (this.lines.length) {
      this._known ||= new Set(this.lines.map((line) => line.n));
      fresh = lines.filter((line) => !this._known.has(line.n));
      for (const line of fresh) this._known.add(line.n);
    }
    const last = this.lines.at(-1);
    const isInOrder = fresh.every((line, at) => line.t >= (at ? fresh[at - 1] : last || line).t);
    this.lines = this.lines.concat(fresh);
    if (!isInOrder) this.lines.sort((one, other) => one.t - other.t || one.n - other.n);
    this._lines = undefined;
    this.version += 1;
  }

  get id() {
    return this.session.id;
  }

  /** All that is worked out from the spans, again only where they have changed. */
  get tree() {
    this._tree ||= this._grow();
    return this._tree;
  }

  get start() {
    return this.tree.start;
  }

  get end() {
    return Math.max(this.tree.end, this.session.end || 0, this.lines.at(-1)?.t || 0);
  }

  get turns() {
    return this.tree.turns;
  }

  node(id) {
    return this.tree && this.nodes.get(id);
  }

  /** What a participant is called; undefined where that is not known. */
  nameOf(id) {
    if (this._names?.version !== this.version) {
      const names = new Map(this.lines.map((line) => [line.participant, line.participant_name]));
      for (const { kind, tags } of this.nodes.values())
        if (kind === "participant") names.set(tags[N.PARTICIPANT_ID], tags[N.PARTICIPANT_NAME]);
      this._names = { version: this.version, names };
    }
    return this._names.names.get(id) || id;
  }

  /** The lines that a span wrote itself. */
  linesOf(id) {
    this._lines ||= Map.groupBy ? Map.groupBy(this.lines, (line) => line.span) : grouped(this.lines);
    return this._lines.get(id) || [];
  }

  /** The lines that a span and all below it wrote, ordered by time. */
  linesBelow(node) {
    const found = [];
    for (const each of node.walk()) for (const line of this.linesOf(each.id)) found.push(line);
    return found.sort((one, other) => one.t - other.t || one.n - other.n);
  }

  _grow() {
    const nodes = this.nodes;
    for (const node of nodes.values()) {
      if (node.isInferred) nodes.delete(node.id);
      node.children = [];
      node.parent = node.turn = node.said = undefined;
    }
    const orphans = new Map();
    for (const node of nodes.values()) {
      const id = node.span.parent;
      if (!id) continue;
      if (nodes.has(id)) node.parent = nodes.get(id);
      else if (orphans.has(id)) orphans.get(id).push(node);
      else orphans.set(id, [node]);
    }
    for (const [id, group] of orphans) this._addWhatGoesOn(id, group, orphans);
    const all = [...nodes.values()].sort((one, other) => one.start - other.start || other.end - one.end);
    let [start, end] = [this.session.start ?? Infinity, 0];
    const [roots, turns] = [[], []];
    for (const node of all) {
      if (isInCircle(node)) node.parent = undefined;
      (node.parent ? node.parent.children : roots).push(node);
      if (node.kind === "turn") {
        turns.push(node);
        // The server infers as well; a turn that has ended says how.
        node.isUnfinished = node.isInferred || Boolean(node.span.open);
        node.isProvisional = Boolean(this.session.is_live) && node.tags[N.TURN_OUTCOME] === undefined;
      }
      if (node.start < start) start = node.start;
      if (node.end > end) end = node.end;
    }
    for (const node of all) node.turn = turnOf(node);
    if (!Number.isFinite(start)) start = this.lines[0]?.t ?? 0;
    const waits = turns.map(waitOf).filter(Boolean);
    return { all, roots, turns, start, end: Math.max(end, start + 1), waits, marks: marksOf(all) };
  }

  /** A turn and a participant are sent when they end: until then, what is in them shows that they are there. */
  _addWhatGoesOn(id, group, orphans) {
    if (group.some((node) => ABOVE_TURNS.has(node.kind))) return;
    let kind;
    if (group.some((node) => TURN_WORK.has(node.kind))) kind = "turn";
    else if (
      group.every((node) => node.kind === "participant.event") &&
      isBesideSession(id, orphans, this.nodes)
    )
      kind = "participant";
    else return;
    const start = -largest(group.map((node) => -node.start));
    let end = largest(group.map((node) => node.end));
    const made = { id, name: `pipecat.${kind}`, kind, resource: "", start, tags: {} };
    if (kind === "turn")
      made.resource = group.some((node) => node.kind === "user_speech" || node.kind === "stt")
        ? "user"
        : "bot";
    else {
      end = Math.max(
        end,
        this.session.end ?? 0,
        this.lines.at(-1)?.t ?? 0,
        largest([...this.nodes.values()].map((node) => node.end)),
      );
      const name = group
        .flatMap((node) => this.linesOf(node.id))
        .find((line) => line.participant_name)?.participant_name;
      if (name) made.tags[N.PARTICIPANT_NAME] = name;
    }
    const node = new Node({ ...made, dur: end - start });
    node.isProvisional = node.isInferred = true;
    for (const each of group) each.parent = node;
    this.nodes.set(id, node);
  }
}

/** Whether an unknown parent is another than the session, which is sent last of all. */
function isBesideSession(id, orphans, nodes) {
  for (const node of nodes.values()) if (node.kind === "session") return node.id !== id;
  for (const [other, group] of orphans)
    if (other !== id && group.some((node) => ABOVE_TURNS.has(node.kind))) return true;
  return false;
}

/** Whether a span is its own ancestor, as only broken data has it. */
function isInCircle(node) {
  let steps = 0;
  for (let at = node.parent; at; at = at.parent) if (at === node || ++steps > 500) return true;
  return false;
}

/** The turn that a span is in; a turn is in itself. */
function turnOf(node) {
  for (let at = node; at; at = at.parent) {
    if (at.kind === "turn") return at;
    if (at.turn) return at.turn;
  }
  return undefined;
}

function grouped(lines) {
  const found = new Map();
  for (const line of lines) {
    if (!found.has(line.span)) found.set(line.span, []);
    found.get(line.span).push(line);
  }
  return found;
}

/** What the user waited for before a turn's answer, part by part, each where it was. */
function waitOf(turn) {
  const total = turn.metrics[N.TURN_USER_BOT_LATENCY_SECONDS];
  if (total === undefined) return undefined;
  const speech = turn.children.find((node) => node.kind === "bot_speech" && node.end > turn.start);
  const heard = turn.children.filter(
    (node) => node.kind === "user_speech" && (!speech || node.end <= speech.start + 1),
  );
  let from = turn.start;
  if (speech) from = speech.start - total * 1000;
  else if (heard.length) from = heard.at(-1).end;
  const parts = [];
  let at = from;
  for (const each of WAIT_PARTS) {
    const secs = turn.metrics[each.metric];
    if (!secs) continue;
    parts.push({ ...each, secs, start: at, end: at + secs * 1000 });
    at += secs * 1000;
  }
  return {
    turn,
    total,
    parts,
    start: from,
    end: from + total * 1000,
    known: sum(parts.map((part) => part.secs)),
  };
}

const GAPS = {
  bot_speech: { places: N.BOT_SPEECH_GAPS, count: N.BOT_SPEECH_GAP_COUNT, what: "in the bot's voice" },
  user_speech: { places: N.USER_AUDIO_GAPS, count: N.USER_AUDIO_GAP_COUNT, what: "in the user's audio" },
};

/** How many gaps a speech has, and in what; undefined where it has none. */
export function gapCountOf(node) {
  const kind = GAPS[node.kind];
  const count = kind && node.metrics[kind.count];
  return count > 0 ? { count, what: kind.what } : undefined;
}

/** Where a speech ran dry: the times are as recorded, in seconds from its start. */
export function gapsOf(node) {
  const found = [];
  for (const [, start, length] of (node.tags[GAPS[node.kind]?.places] || "").matchAll(/([\d.]+)\+([\d.]+)/g)) {
    const at = node.start + Number(start) * 1000;
    found.push({ kind: "gap", node, start: at, end: at + Number(length) * 1000 });
  }
  return found;
}

/** Interruptions, gaps, blocks and errors, ordered by time. */
function marksOf(all) {
  const found = [];
  for (const node of all) {
    if (node.kind === "bot_speech" && node.isInterrupted)
      found.push({ kind: "interruption", node, start: node.end, end: node.end });
    const gaps = gapsOf(node);
    found.push(...gaps);
    if (!gaps.length && gapCountOf(node))
      found.push({ kind: "gap", node, start: node.end, end: node.end, isSomewhere: true });
    if (node.kind === "blocked") found.push({ kind: "block", node, start: node.start, end: node.end });
    // What failed in a library's span, and so in ours, is one error.
    const isTheSame = !node.kind && node.parent?.error;
    if (node.error && !isTheSame && node.kind !== "turn" && node.kind !== "session")
      found.push({ kind: "error", node, start: node.end, end: node.end });
  }
  return found.sort((one, other) => one.start - other.start);
}
