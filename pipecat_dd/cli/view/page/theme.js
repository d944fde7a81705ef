/** The colours of what is drawn, read from the style sheet once for each theme. */

const KINDS = [
  "user",
  "eot",
  "stt",
  "llm",
  "tool",
  "tts",
  "bot",
  "blocked",
  "event",
  "frame",
  "turn",
  "startup",
  "person",
  "other",
];
const PARTS = [
  "end_of_turn",
  "transcription",
  "preparation",
  "tools",
  "llm",
  "aggregation",
  "synthesis",
  "output",
];
const REST = [
  "bg",
  "panel",
  "lane",
  "ink",
  "ink-2",
  "rule",
  "rule-2",
  "on-solid",
  "error",
  "focus",
  "mark",
  "on-mark",
  "band",
  "shade",
  "tint",
];

let theme;

/** What each colour is called in the style sheet: --k-llm, --w-tools, --ink. */
export function colours() {
  if (!theme) {
    const style = getComputedStyle(document.documentElement);
    const read = (name) => style.getPropertyValue(name).trim();
    theme = { kind: {}, part: {} };
    for (const kind of KINDS) theme.kind[kind] = read(`--k-${kind}`);
    for (const part of PARTS) theme.part[part] = read(`--w-${part}`);
    for (const name of REST) theme[name] = read(`--${name}`);
    theme.alpha = Number(theme.tint);
    theme.sans = getComputedStyle(document.body).fontFamily;
  }
  return theme;
}

/** Call a function whenever the theme changes. */
export function onThemeChange(run) {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const change = () => {
    theme = undefined;
    run();
  };
  dark.addEventListener("change", change);
  return () => dark.removeEventListener("change", change);
}

export function likesStillness() {
  return matchMedia("(prefers-reduced-motion: reduce)").matches;
}
