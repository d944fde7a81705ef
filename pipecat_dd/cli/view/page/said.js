/** What was said, once for each utterance, and what of it the user did not hear. */

import { N } from "./names.js";
import { sum } from "./medians.js";

/** A turn's utterances: who spoke, the text, and what of the bot's was not heard. */
function utterancesOf(turn) {
  const found = [];
  const heard = [];
  for (const node of turn.children) {
    const text = node.kind === "stt" && node.tags[N.STT_TRANSCRIPT];
    // Two services that transcribe the same speech are one utterance.
    if (
      !text ||
      heard.some((other) => other.text === text && other.node.start < node.end && node.start < other.node.end)
    )
      continue;
    heard.push({ who: "user", node, text, at: node.start });
  }
  found.push(...heard);
  const spoken = botsWords(turn);
  if (spoken) found.push(spoken);
  return found.sort((one, other) => one.at - other.at);
}

function botsWords(turn) {
  const syntheses = turn.children.filter((node) => node.kind === "tts" && node.tags[N.TTS_TEXT]);
  const answers = [...turn.walk()].filter(
    (node) =>
      node.kind === "llm" &&
      node.tags[N.LLM_OUTCOME] !== "discarded" &&
      node.tags[N.LLM_PURPOSE] === undefined &&
      node.tags[N.GEN_AI_OUTPUT_MESSAGES],
  );
  const from = syntheses.length ? syntheses : answers;
  if (!from.length) return undefined;
  const name = syntheses.length ? N.TTS_TEXT : N.GEN_AI_OUTPUT_MESSAGES;
  const text = from
    .map((node) => node.tags[name].trim())
    .filter(Boolean)
    .join(" ");
  return { who: "bot", node: from[0], text, at: from[0].start, ...unheardOf(turn, syntheses, text) };
}

/** How much of a cut-off answer was not heard: an estimate by the audio's length. */
function unheardOf(turn, syntheses, text) {
  const speeches = turn.children.filter((node) => node.kind === "bot_speech");
  // The user was faster than the bot's first word. (A turn that ends otherwise may have no voice.)
  if (!speeches.length && syntheses.length && turn.tags[N.TURN_WAS_INTERRUPTED] === "true")
    return { heard: "", unheard: text };
  if (!speeches.some((node) => node.isInterrupted)) return {};
  const unheard = sum(speeches.map((node) => node.metrics[N.BOT_SPEECH_UNHEARD_SECONDS] || 0));
  const played = sum(
    speeches.map((node) => node.metrics[N.BOT_SPEECH_AUDIO_SECONDS] ?? (node.end - node.start) / 1000),
  );
  const synthesized = sum(syntheses.map((node) => node.metrics[N.TTS_AUDIO_SECONDS] || 0));
  const all = synthesized || played + unheard;
  const isKnown = speeches.some((node) => node.metrics[N.BOT_SPEECH_UNHEARD_SECONDS] !== undefined);
  const share = Math.min(1, Math.max(0, isKnown ? unheard / all : 1 - played / all));
  if (!(share > 0)) return {};
  let cut = Math.round(text.length * (1 - share));
  const space = text.indexOf(" ", cut);
  // The word that was cut off counts as heard.
  if (cut > 0) cut = space < 0 ? text.length : space;
  return { heard: text.slice(0, cut), unheard: text.slice(cut), unheardSecs: share * all, allSecs: all };
}

/** The utterances of a turn, worked out once. */
export function saidIn(turn) {
  turn.said ||= utterancesOf(turn);
  return turn.said;
}

/** What was said in a stretch of speech; empty where that is not known. */
export function saidBy(speech) {
  const { turn } = speech;
  if (!turn) return "";
  const isBot = speech.kind === "bot_speech";
  const said = saidIn(turn).find(({ who, node }) =>
    isBot ? who === "bot" : who === "user" && node.start < speech.end && speech.start < node.end,
  );
  // What a turn's bot said in several stretches is not known stretch by stretch.
  if (!said || (isBot && turn.children.find((node) => node.kind === "bot_speech") !== speech)) return "";
  return said.heard ?? said.text;
}

/** Whether any of what was said is there. */
export function hasContent(call) {
  return call.tree.all.some(
    ({ tags }) => tags[N.STT_TRANSCRIPT] || tags[N.TTS_TEXT] || tags[N.GEN_AI_OUTPUT_MESSAGES],
  );
}
