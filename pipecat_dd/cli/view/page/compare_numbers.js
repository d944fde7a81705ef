/** What two calls come to, and what only one of them has. */

import { N, WAIT_PARTS } from "./names.js";
import { largest, median, sum } from "./medians.js";
import { gapCountOf } from "./call.js";
import { lengthOf } from "./figures.js";

/** A call's waits, part by part: the median and the worst of its answers, in seconds, and these two answers. */
export function waitsOf(call) {
  const { waits } = call.tree;
  const sorted = [...waits].sort((one, other) => one.total - other.total);
  const of = (numbers) => ({ median: median(numbers), worst: largest(numbers) });
  return {
    count: sorted.length,
    middle: sorted[(sorted.length - 1) >> 1],
    slowest: sorted.at(-1),
    total: of(waits.map((wait) => wait.total)),
    parts: WAIT_PARTS.map((part) => ({
      ...part,
      ...of(waits.map((wait) => wait.parts.find((each) => each.part === part.part)?.secs || 0)),
    })),
  };
}

/** A call's counts, in the order in which they are shown: label, value, unit. */
export function countsOf(call) {
  const { session, tree } = call;
  const of = (kind) => tree.all.filter((node) => node.kind === kind);
  const total = (nodes, metric) => sum(nodes.map((node) => node.metrics[metric] || 0));
  const speaking = (kind) => sum(of(kind).map((node) => node.end - node.start)) / 1000;
  const llms = of("llm");
  const marks = (kind) => tree.marks.filter((mark) => mark.kind === kind);
  return [
    ["length", lengthOf(session, call.end), "s"],
    ["turns", tree.turns.length],
    ["user spoke", speaking("user_speech"), "s"],
    ["bot spoke", speaking("bot_speech"), "s"],
    ["interruptions", marks("interruption").length],
    ["gaps in the voice", total(of("bot_speech"), N.BOT_SPEECH_GAP_COUNT)],
    ["… in all", total(of("bot_speech"), N.BOT_SPEECH_GAP_SECONDS), "s"],
    ["gaps in the user's audio", total(of("user_speech"), N.USER_AUDIO_GAP_COUNT)],
    ["blocked loop", of("blocked").length],
    ["… in all", sum(of("blocked").map((node) => node.end - node.start)) / 1000, "s"],
    ["errors", session.errors || 0],
    // As the score marks them: a request that failed and was made again is no error of the call.
    ["failed calls of libraries", marks("error").filter(({ node }) => !node.kind).length],
    ["model requests", llms.length],
    ["tokens in", total(llms, N.GEN_AI_USAGE_INPUT_TOKENS)],
    ["tokens out", total(llms, N.GEN_AI_USAGE_OUTPUT_TOKENS)],
    ["tool calls", of("tool").length],
    [
      "warnings and errors logged",
      call.lines.filter((line) => ["WARNING", "ERROR", "CRITICAL"].includes(line.level)).length,
    ],
  ];
}

/** What a call has of each kind: by text, the first span that has it and how many do. */
function traitsOf(call) {
  const traits = {
    "error types": new Map(),
    tools: new Map(),
    services: new Map(),
    "blocked places": new Map(),
    gaps: new Map(),
    events: new Map(),
    "turns that ended": new Map(),
  };
  const add = (kind, text, node) => {
    const known = traits[kind].get(text);
    if (known) known.times += 1;
    else traits[kind].set(text, { text, node, times: 1 });
  };
  for (const { kind, node } of call.tree.marks)
    if (kind === "error")
      add("error types", `${node.tags[N.ERROR_TYPE] || "error"} in ${node.name.replaceAll("_", " ")}`, node);
  for (const node of call.tree.all) {
    if (node.kind === "tool") add("tools", node.resource, node);
    if (["stt", "llm", "tts"].includes(node.kind)) add("services", `${node.kind}: ${node.resource}`, node);
    if (node.kind === "blocked") add("blocked places", node.resource, node);
    if (node.kind === "service.event" || node.kind === "participant.event")
      add("events", node.resource, node);
    if (node.kind === "turn" && node.tags[N.TURN_OUTCOME] && node.tags[N.TURN_OUTCOME] !== "answered")
      add("turns that ended", node.tags[N.TURN_OUTCOME], node);
    const gaps = gapCountOf(node);
    if (gaps) add("gaps", `gaps ${gaps.what}`, node);
  }
  return traits;
}

/** What only the first of two calls has, kind by kind; kinds without any are left out. */
export function onlyIn(one, other) {
  const [mine, theirs] = [traitsOf(one), traitsOf(other)];
  return Object.entries(mine)
    .map(([kind, found]) => [kind, [...found.values()].filter(({ text }) => !theirs[kind].has(text))])
    .filter(([, found]) => found.length);
}
