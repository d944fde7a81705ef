/** The stretch of time that is seen, and what moves it. */

const SHORTEST = 2;
const MARGIN = 0.015;

export class Viewport {
  constructor(start, end) {
    this.width = 100;
    this.from = start;
    this.to = end;
    /** Whether it shows the end as it comes. */
    this.follows = false;
    /** Whether it shows all there is. */
    this.isFit = true;
    this.bound(start, end);
    this.fit();
  }

  /** Say how far the call goes. */
  bound(start, end) {
    const margin = (end - start) * MARGIN;
    this.first = start - margin;
    this.last = end + margin;
  }

  get span() {
    return this.to - this.from;
  }

  x(time) {
    return ((time - this.from) / (this.to - this.from)) * this.width;
  }

  time(x) {
    return this.from + (x / this.width) * (this.to - this.from);
  }

  fit() {
    this.from = this.first;
    this.to = this.last;
    this.isFit = true;
  }

  /** Show a stretch, as far as there is one. */
  show(from, to) {
    const all = this.last - this.first;
    const span = Math.min(all, Math.max(SHORTEST, to - from));
    const middle = (from + to) / 2;
    this.from = Math.min(this.last - span, Math.max(this.first, middle - span / 2));
    this.to = this.from + span;
    this.isFit = span >= all;
  }

  /** Zoom around a place that stays where it is; a factor above 1 shows less. */
  zoom(factor, x = this.width / 2) {
    const at = this.time(x);
    const span = Math.min(this.last - this.first, Math.max(SHORTEST, this.span / factor));
    const from = at - (x / this.width) * span;
    this.show(from, from + span);
  }

  /** Move by so much of what is seen. */
  pan(share) {
    const by = share * this.span;
    this.show(this.from + by, this.to + by);
  }

  /** Move as little as need be to have a stretch in sight. */
  reveal(start, end) {
    const room = this.span * 0.06;
    if (start >= this.from && end <= this.to) return;
    if (end - start > this.span * 0.9) this.show(start - (end - start) * 0.1, end + (end - start) * 0.1);
    else if (start < this.from) this.show(start - room, start - room + this.span);
    else this.show(end + room - this.span, end + room);
  }

  /** Keep up with a call that goes on. */
  followEnd() {
    if (this.isFit) this.fit();
    else this.show(this.last - this.span, this.last);
  }
}

const STEPS = [
  1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 15_000, 30_000, 60_000, 120_000, 300_000,
  600_000, 1_800_000, 3_600_000,
];

/** How far apart the ruler's ticks are, in milliseconds, and how many digits they need. */
export function tickStep(viewport, apart = 84) {
  const least = (viewport.span / viewport.width) * apart;
  const step = STEPS.find((each) => each >= least) || STEPS.at(-1);
  return { step, digits: step >= 1000 ? 0 : step >= 100 ? 1 : step >= 10 ? 2 : 3 };
}
