/** Numbers and times as people read them. */

/** A length of time in milliseconds: 0.4 ms, 557 ms, 2.44 s, 1:02 min. */
export function duration(ms) {
  if (ms < 1) return `${ms.toFixed(ms < 0.1 ? 2 : 1)} ms`;
  if (ms < 999.5) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(ms < 9995 ? 2 : 1)} s`;
  return `${spell(ms / 1000)} min`;
}

/** A length of time in seconds. */
export function seconds(secs) {
  return duration(secs * 1000);
}

/** A time since the call began: 1:02.350, as precise as asked for. */
export function offset(ms, digits = 1) {
  const scale = 10 ** digits;
  const all = Math.round((Math.abs(ms) / 1000) * scale) / scale;
  const sign = ms < 0 && all ? "−" : "";
  const minutes = Math.floor(all / 60);
  const rest = (all - minutes * 60).toFixed(digits).padStart(digits ? digits + 3 : 2, "0");
  return `${sign}${minutes}:${rest}`;
}

/** The length of a call: 0:42, 1:02:07. */
export function spell(secs) {
  const all = Math.round(secs);
  const [hours, minutes, rest] = [Math.floor(all / 3600), Math.floor(all / 60) % 60, all % 60];
  const two = (number) => String(number).padStart(2, "0");
  return hours ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}

const TIME = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  hourCycle: "h23", // hour12: false says 24:10 ten minutes after midnight
});
const DAY = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });

const OF_THIS_YEAR = {
  day: "numeric",
  month: "short",
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  hourCycle: "h23",
  timeZoneName: "short",
};
const MOMENT = new Intl.DateTimeFormat(undefined, OF_THIS_YEAR);
const MOMENT_IN_FULL = new Intl.DateTimeFormat(undefined, { ...OF_THIS_YEAR, year: "numeric" });

/** A moment with the time zone of who looks; with its year unless that is this one. */
export function moment(epochMs) {
  if (!Number.isFinite(epochMs)) return "";
  const isThisYear = new Date(epochMs).getFullYear() === new Date().getFullYear();
  return (isThisYear ? MOMENT : MOMENT_IN_FULL).format(epochMs);
}

/** A moment for programs. */
export function iso(epochMs) {
  return Number.isFinite(epochMs) ? new Date(epochMs).toISOString() : undefined;
}

/** The time of day of a moment. */
export function timeOfDay(epochMs) {
  return Number.isFinite(epochMs) ? TIME.format(epochMs) : "";
}

/** The day of a moment. */
export function day(epochMs) {
  return Number.isFinite(epochMs) ? DAY.format(epochMs) : "";
}

/** How many there are of something: 1 turn, 3 turns. */
export function count(number, one, many = `${one}s`) {
  return `${number.toLocaleString("en")} ${number === 1 ? one : many}`;
}

/** A number of a metric, no more precise than it is useful. */
export function plainNumber(value) {
  if (Number.isInteger(value)) return value.toLocaleString("en");
  return String(Number(value.toPrecision(4)));
}
