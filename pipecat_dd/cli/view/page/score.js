/** One conversation as a score: lanes over time, with all that moves and picks in them. */

import { Component, html } from "./preact.js";
import { MARKS, Mark } from "./marks.js";
import { sentence } from "./labels.js";
import { layOut } from "./lanes.js";
import { colours, onThemeChange } from "./theme.js";
import { MINIMAP, paintMinimap } from "./minimap.js";
import { Painter, RULER } from "./paint.js";
import { fitCanvas } from "./pens.js";
import { Viewport } from "./viewport.js";
import { besideIn, besideLane, besideTurn, endOf, nearestOf } from "./walk.js";

const LIVE_SPAN_MS = 60_000;
const STEP = 0.2;
const ZOOM = 1.5;

export class Score extends Component {
  constructor(props) {
    super(props);
    this.state = { showsFrames: false, showsLibraries: true, follows: Boolean(props.call.session.is_live) };
    this._dirty = { base: true, over: true, map: true };
  }

  // The part that preact keeps

  render({ isLive }, { showsFrames, showsLibraries, follows }) {
    this._update();
    const toggle = (name) => () => this.setState((state) => ({ [name]: !state[name] }));
    return html`<section class="score" aria-label="Score">
      <div class="score-bar">
        <div class="legend" aria-label="Marks">
          ${Object.entries(MARKS).map(
            ([kind, { label }]) => html`<span key=${kind}><${Mark} kind=${kind} />${label}</span>`,
          )}
        </div>
        <span class="grow"></span>
        <button class="chip" aria-pressed=${showsLibraries} onClick=${toggle("showsLibraries")}>
          libraries
        </button>
        <button class="chip" aria-pressed=${showsFrames} onClick=${toggle("showsFrames")}>frames</button>
        ${
          isLive &&
          html`<button class="chip" aria-pressed=${follows} onClick=${() => this._follow(!follows)}>
            follow the end
          </button>`
        }
        <span class="buttons" role="group" aria-label="Zoom">
          <button aria-label="Zoom out" title="Zoom out (−)" onClick=${() => this._zoom(1 / ZOOM)}>−</button>
          <button aria-label="Zoom in" title="Zoom in (+)" onClick=${() => this._zoom(ZOOM)}>+</button>
          <button title="Show all of it (0)" onClick=${() => this._fit()}>Fit</button>
        </span>
      </div>
      <div class="minimap-row">
        <span class="lane-labels" aria-hidden="true">whole call</span>
        <canvas class="minimap" ref=${(canvas) => (this._map = canvas)} aria-hidden="true"></canvas>
      </div>
      <div class="stage" ref=${(stage) => (this._stage = stage)}>
        <ul class="lane-labels" aria-label="Lanes" ref=${(list) => (this._labels = list)}>
          ${this._layout.lanes.map(
            (lane) =>
              html`<li
                key=${lane.id}
                data-lane=${lane.id}
                class=${`k-${lane.colour}`}
                style=${{ top: `${RULER + lane.y}px`, height: `${lane.bottom - lane.y}px` }}
              >
                <span>${lane.label}</span>
              </li>`,
          )}
        </ul>
        <div
          class="plot"
          tabindex="0"
          role="application"
          aria-roledescription="score"
          aria-label="Score of the conversation: arrow keys walk from span to span"
          aria-describedby="score-keys"
          ref=${(plot) => (this._plot = plot)}
          style=${{ height: `${RULER + this._layout.height}px` }}
          onKeyDown=${(event) => this._key(event)}
          onBlur=${() => this._point(undefined)}
        >
          <canvas ref=${(canvas) => (this._base = canvas)} aria-hidden="true"></canvas>
          <canvas ref=${(canvas) => (this._over = canvas)} aria-hidden="true"></canvas>
        </div>
        <div class="tooltip" ref=${(tip) => (this._tip = tip)} aria-hidden="true"></div>
      </div>
      <p class="sr-only" id="score-keys">
        Left and right go to the span before and after in the lane, up and down to the lane above and below.
        Enter shows the span. Square brackets go from turn to turn, plus and minus zoom, 0 shows all. The
        panel Spans has the same spans as a tree.
      </p>
      <p class="sr-only" aria-live="polite" ref=${(says) => (this._says = says)}></p>
    </section>`;
  }

  componentDidMount() {
    this._painter = new Painter(colours());
    this._ends = [
      onThemeChange(() => {
        this._painter = new Painter(colours());
        this._redraw();
      }),
    ];
    const sizes = new ResizeObserver(() => this._resize());
    sizes.observe(this._plot);
    this._ends.push(() => sizes.disconnect());
    this._listen();
    this._resize();
    cancelAnimationFrame(this._frame);
    this._draw();
  }

  componentWillUnmount() {
    for (const end of this._ends) end();
    cancelAnimationFrame(this._frame);
  }

  componentDidUpdate(before) {
    const { selected, light, found, line } = this.props;
    if (selected && selected.id !== before.selected?.id) this._reveal(selected);
    if (light !== before.light) {
      if (light?.reveals) this.viewport.reveal(light.start, light.end);
      this._redraw();
    } else if (found !== before.found) this._redraw();
    else if (selected !== before.selected || line !== before.line) this._mark("over");
    this._resize();
  }

  // What is drawn

  /** Take in what has changed of the call since it was drawn last. */
  _update() {
    const { call } = this.props;
    const { showsFrames, showsLibraries, follows } = this.state;
    const seen = [call.tree, showsFrames, showsLibraries, call.end];
    if (this._seen?.every((value, at) => value === seen[at])) return;
    // Lines move the end alone.
    const isMoved = this._seen?.slice(0, -1).every((value, at) => value === seen[at]);
    this._seen = seen;
    if (!isMoved) this._layout = layOut(call, { showsFrames, showsLibraries });
    if (this.viewport) this._keepUp(call);
    else {
      this.viewport = new Viewport(call.start, call.end);
      this.viewport.follows = follows;
      if (call.session.is_live) this._showLatest(call);
    }
    if (this._painter) this._redraw();
  }

  /** Show what has come, unless the user looks at something else. */
  _keepUp(call) {
    const { viewport } = this;
    const wasFit = viewport.isFit;
    viewport.bound(call.start, call.end);
    if (viewport.follows) {
      viewport.followEnd();
      if (wasFit && call.session.is_live) this._showLatest(call);
    } else if (wasFit && !call.session.is_live) viewport.fit();
    else viewport.isFit = false;
  }

  /** Of a long call that goes on, show the last minute. */
  _showLatest(call) {
    if (call.end - call.start > LIVE_SPAN_MS)
      this.viewport.show(this.viewport.last - LIVE_SPAN_MS, this.viewport.last);
  }

  _resize() {
    const width = this._plot.clientWidth;
    const height = RULER + this._layout.height;
    if (width === this._width && height === this._height) return;
    this._width = this.viewport.width = width;
    this._height = height;
    this._redraw();
  }

  _redraw() {
    this._mark("base", "over", "map");
  }

  /** Say that something must be drawn again, with the next frame. */
  _mark(...layers) {
    for (const layer of layers) this._dirty[layer] = true;
    this._frame ||= requestAnimationFrame(() => this._draw());
  }

  _draw() {
    this._frame = undefined;
    const { call, selected, light, found, line } = this.props;
    const { viewport, _layout: layout, _width: width, _height: height } = this;
    if (!width || !this._painter) return;
    if (this._dirty.base)
      this._painter.paint(fitCanvas(this._base, width, height), {
        call,
        layout,
        viewport,
        width,
        height,
        found,
      });
    if (this._dirty.base || this._dirty.over)
      this._painter.paintOver(fitCanvas(this._over, width, height), {
        ...{ layout, viewport, width, height, selected, light, line: line?.t },
        ...{ pointed: this._pointed, cursorX: this._cursorX },
      });
    if (this._dirty.map || this._dirty.base)
      paintMinimap(this._map, call, this._map.clientWidth, MINIMAP, colours(), viewport);
    this._dirty = { base: false, over: false, map: false };
    if (!this._plot.dataset.from) performance.mark("score-painted");
    // Where each time is, for those who look from outside.
    this._plot.dataset.from = viewport.from;
    this._plot.dataset.to = viewport.to;
  }

  // What moves it

  /** Let the user move the view; from then on it follows only while the end is in sight. */
  _move(change) {
    change(this.viewport);
    const follows = Boolean(this.props.isLive) && this.viewport.to >= this.viewport.last - 1;
    this.viewport.follows = follows;
    if (follows !== this.state.follows) this.setState({ follows });
    this._redraw();
  }

  _zoom(factor, x = this.props.selected ? this._middleOf(this.props.selected) : undefined) {
    this._move((viewport) => viewport.zoom(factor, x));
  }

  _zoomTo({ start, end }) {
    const room = Math.max(1, (end - start) * 0.3);
    this._move((viewport) => viewport.show(start - room, end + room));
  }

  _middleOf(node) {
    const x = this.viewport.x((node.start + node.end) / 2);
    return x < 0 || x > this._width ? undefined : x;
  }

  _fit() {
    this._move((viewport) => viewport.fit());
  }

  _follow(follows) {
    this.viewport.follows = follows;
    if (follows) this.viewport.followEnd();
    this.setState({ follows });
    this._redraw();
  }

  _reveal(node) {
    const before = [this.viewport.from, this.viewport.to];
    this.viewport.reveal(node.start, node.end);
    if (this.viewport.from !== before[0] || this.viewport.to !== before[1]) {
      this.viewport.follows = false;
      if (this.state.follows) this.setState({ follows: false });
    }
    this._scrollTo(node);
    this._redraw();
  }

  _scrollTo(node) {
    const row = this._layout.rowOf.get(node);
    if (!row) return;
    const top = RULER + row.y;
    const stage = this._stage;
    if (top < stage.scrollTop + RULER) stage.scrollTop = Math.max(0, top - RULER);
    else if (top + row.height > stage.scrollTop + stage.clientHeight)
      stage.scrollTop = top + row.height - stage.clientHeight + 8;
  }

  // Pointer

  _listen() {
    const plot = this._plot;
    plot.addEventListener("wheel", (event) => this._wheel(event), { passive: false });
    plot.addEventListener("pointerdown", (event) => this._press(event));
    plot.addEventListener("pointermove", (event) => this._hover(event));
    plot.addEventListener("pointerleave", () => this._point(undefined));
    plot.addEventListener("dblclick", (event) => {
      const node = this._hit(event);
      if (node) this._zoomTo(node);
    });
    const map = this._map;
    const jump = (event) => {
      const { first, last, span } = this.viewport;
      const time = first + (event.offsetX / map.clientWidth) * (last - first);
      this._move((viewport) => viewport.show(time - span / 2, time + span / 2));
    };
    map.addEventListener("pointerdown", (event) => {
      map.setPointerCapture(event.pointerId);
      jump(event);
    });
    map.addEventListener("pointermove", (event) => event.buttons && jump(event));
    map.addEventListener("wheel", (event) => this._wheel(event, true), { passive: false });
  }

  _wheel(event, isOnMap) {
    event.preventDefault();
    const unit = event.deltaMode === 1 ? 16 : 1;
    const across = event.shiftKey && !event.deltaX ? event.deltaY : event.deltaX;
    if (Math.abs(across) > Math.abs(event.shiftKey ? 0 : event.deltaY)) {
      this._move((viewport) => viewport.pan((across * unit) / viewport.width));
      return;
    }
    const x = isOnMap ? undefined : event.clientX - this._plot.getBoundingClientRect().left;
    this._move((viewport) => viewport.zoom(Math.exp(-event.deltaY * unit * 0.002), x));
  }

  _press(event) {
    if (event.button !== 0) return;
    this._plot.focus({ preventScroll: true });
    this._plot.setPointerCapture(event.pointerId);
    this._drag = {
      x: event.clientX,
      y: event.clientY,
      from: this.viewport.from,
      to: this.viewport.to,
      top: this._stage.scrollTop,
    };
    this._plot.addEventListener("pointerup", (up) => this._release(up), { once: true });
    this._plot.addEventListener("pointercancel", () => (this._drag = undefined), { once: true });
  }

  _release(event) {
    const drag = this._drag;
    this._drag = undefined;
    this._plot.classList.remove("drags");
    if (!drag || drag.isOn) return;
    const node = this._hit(event);
    this.props.onSelect(node);
  }

  _hover(event) {
    const drag = this._drag;
    if (!drag) {
      this._cursorX = event.clientX - this._plot.getBoundingClientRect().left;
      this._point(this._hit(event), event);
      return;
    }
    const by = event.clientX - drag.x;
    if (!drag.isOn && Math.hypot(by, event.clientY - drag.y) < 4) return;
    drag.isOn = true;
    this._plot.classList.add("drags");
    this._point(undefined);
    this._stage.scrollTop = drag.top - (event.clientY - drag.y);
    const time = (by / this._width) * (drag.to - drag.from);
    this._move((viewport) => viewport.show(drag.from - time, drag.to - time));
  }

  /** The span at a place on the screen. */
  _hit(event) {
    const box = this._plot.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left, event.clientY - box.top - RULER];
    const row = this._layout.rows.find((each) => y >= each.y - 1 && y <= each.y + each.height + 1);
    return row?.at(this.viewport.time(x), (3 / this._width) * this.viewport.span);
  }

  _point(node, event) {
    const tip = this._tip;
    if (!tip) return; // the focus leaves a score that is gone
    if (!event) this._cursorX = undefined;
    if (node !== this._pointed) {
      this._pointed = node;
      tip.classList.toggle("is-on", Boolean(node));
      if (node) tip.textContent = sentence(node, this.props.call);
    }
    if (node && event) {
      const box = this._stage.getBoundingClientRect();
      const x = Math.min(event.clientX - box.left + 14, box.width - tip.offsetWidth - 8);
      const y = event.clientY - box.top + this._stage.scrollTop + 18;
      tip.style.transform = `translate(${Math.max(4, x)}px, ${y}px)`;
    }
    this._plot.classList.toggle("points", Boolean(node));
    this._mark("over");
  }

  // Keyboard

  _key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const walk = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (walk && event.shiftKey && walk[0]) this._move((viewport) => viewport.pan(walk[0] * STEP));
    else if (walk) this._walk(...walk);
    else if (event.key === "Home") this._choose(endOf(this._lane(), 0));
    else if (event.key === "End") this._choose(endOf(this._lane(), -1));
    else if (event.key === "Enter" && this.props.selected) this.props.onOpen();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** The keys that work wherever the focus is; whether this was one of them. */
  globalKey(key) {
    if (key === "+" || key === "=") this._zoom(ZOOM);
    else if (key === "-") this._zoom(1 / ZOOM);
    else if (key === "0") this._fit();
    else if (key === "f") this._follow(true);
    else if (key === "l") this.setState((state) => ({ showsLibraries: !state.showsLibraries }));
    else if (key === "r") this.setState((state) => ({ showsFrames: !state.showsFrames }));
    else if (key === "z" && this.props.selected) this._zoomTo(this.props.selected);
    else if (key === "[") this._turn(-1);
    else if (key === "]") this._turn(1);
    else return false;
    return true;
  }

  focus() {
    this._plot.focus();
  }

  /** The lane that the keyboard is in. */
  _lane() {
    const row = this.props.selected && this._layout.rowOf.get(this.props.selected);
    return row?.lane || this._layout.lanes[0];
  }

  _walk(across, down) {
    const { selected } = this.props;
    const lane = this._lane();
    if (!lane) return;
    if (!selected || !this._layout.rowOf.has(selected))
      this._choose(nearestOf(lane, (this.viewport.from + this.viewport.to) / 2));
    else if (across) this._choose(besideIn(lane, selected, across));
    else this._choose(besideLane(this._layout.lanes, lane, selected, down));
  }

  _turn(by) {
    const { call, selected } = this.props;
    this._choose(besideTurn(call.turns, selected?.turn, by));
  }

  _choose(node) {
    if (!node) return;
    this.props.onSelect(node);
    this._says.textContent = sentence(node, this.props.call);
  }
}
