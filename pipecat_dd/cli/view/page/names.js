/** The names of tags and metrics, as pipecat_dd/names has them. */

const NAMES = JSON.parse(document.getElementById("names").textContent);

/** The name of each tag, by its constant: N.TURN_NUMBER. */
export const N = NAMES.constants;

/** What each tag means and its unit, by its name. */
export const MEANINGS = new Map(Object.entries(NAMES.meanings));

/** The parts of a wait in their order: what it is called, the metric's name, what was waited for. */
export const WAIT_PARTS = NAMES.waits.map(([part, metric, meaning]) => ({
  part,
  metric,
  meaning,
  label: part.replaceAll("_", " "),
}));

/** When each kind of span opens and closes. */
export const SPAN_DOCS = new Map(Object.entries(NAMES.spans));
