/** What spans are called: on a bar, and in a sentence. */

import { gapCountOf } from "./call.js";
import { N } from "./names.js";
import { duration, offset } from "./format.js";
import { saidBy } from "./said.js";

/** What stands on a span's bar. */
export function barLabel(node) {
  if (node.kind === "turn")
    return [
      node.number ?? (node.isProvisional ? "" : node.resource),
      node.tags[N.FLOW_NODE],
      node.isProvisional && "goes on",
    ]
      .filter(Boolean)
      .join(" · ");
  if (node.kind === "user_speech" || node.kind === "bot_speech")
    return saidBy(node) || duration(node.end - node.start);
  if (node.kind === "end_of_turn") return duration(node.end - node.start);
  if (node.kind === "participant")
    return node.tags[N.PARTICIPANT_NAME] || node.tags[N.PARTICIPANT_ID] || node.resource;
  if (node.kind) return node.resource || node.kind;
  return `${node.span.name} ${node.resource}`;
}

/** A span in one sentence, for a tooltip and for who cannot see the score. */
export function sentence(node, call) {
  const words = [node.name.replaceAll("_", " ")];
  if (node.kind === "turn" && node.number !== undefined) words.push(String(node.number));
  if (node.resource && node.resource !== node.name) words.push(node.resource);
  const facts = [duration(node.end - node.start), `at ${offset(node.start - call.start)}`];
  if (node.isProvisional) facts.push("goes on");
  if (node.error) facts.push(`error ${node.tags[N.ERROR_TYPE] || ""}`.trim());
  if (node.isInterrupted || node.tags[N.TURN_WAS_INTERRUPTED] === "true") facts.push("interrupted");
  const gaps = gapCountOf(node);
  if (gaps) facts.push(`with ${gaps.count === 1 ? "a gap" : `${gaps.count} gaps`} ${gaps.what}`);
  return `${words.join(" ")}, ${facts.join(", ")}`;
}
