/** What the page knows: the conversations, and those that are open in full. */

import { Call } from "./call.js";

const KEPT = 3;
const APART_MS = 100;

export class Store {
  constructor(source) {
    this.source = source;
    this.sessions = new Map();
    this.calls = new Map();
    this.isConnected = true;
    this.isLoaded = false;
    this.problem = undefined;
    this._toldAt = -APART_MS;
    this._loading = new Map();
    this._stale = new Set();
    this._listeners = new Set();
  }

  get isReport() {
    return this.source.isReport;
  }

  /** Call a function after each change; return what ends that. */
  subscribe(listener) {
    this._listeners.add(listener);
    return () => this._listeners.delete(listener);
  }

  async start() {
    try {
      const { sessions, seq } = await this.source.sessions();
      this.sessions = new Map(sessions.map((session) => [session.id, session]));
      this.problem = undefined;
      this.isLoaded = true;
      this.source.follow(
        seq,
        (type, data) => this._take(type, data),
        (isConnected) => {
          if (this.isConnected === isConnected) return;
          this.isConnected = isConnected;
          this._changed();
        },
      );
    } catch (error) {
      this.problem = error.message;
      this.isConnected = false;
      if (!this.isReport) setTimeout(() => this.start(), 3000);
    }
    this._changed();
  }

  /** Get a conversation in full; what comes of it meanwhile is kept for it. */
  async open(id) {
    if (this._loading.has(id) || (this.calls.has(id) && !this._stale.has(id))) return;
    this._stale.delete(id);
    const missed = [];
    this._loading.set(id, missed);
    try {
      const found = await this.source.call(id);
      performance.mark("call-there");
      const call = new Call(found);
      this.calls.set(id, call);
      for (const [type, data] of missed) addTo(call, type, data);
      for (const other of [...this.calls.keys()].slice(0, -KEPT)) this.calls.delete(other);
    } catch (error) {
      this.calls.set(id, { id, problem: error.message });
    }
    this._loading.delete(id);
    this._tell(); // somebody waits for it
  }

  _take(type, data) {
    if (type === "reset") {
      // What is shown stays until what the server has is there.
      this._stale = new Set(this.calls.keys());
      this.start();
      return;
    }
    if (type === "sessions") {
      for (const session of data.sessions) {
        this.sessions.set(session.id, session);
        const call = this.calls.get(session.id);
        if (call && !call.problem) {
          call.session = session;
          call.version += 1;
        }
      }
    } else if (type === "gone") {
      this.sessions.delete(data.session);
    } else {
      this._loading.get(data.session)?.push([type, data]);
      const call = this.calls.get(data.session);
      if (call && !call.problem) addTo(call, type, data);
    }
    this._changed();
  }

  /** Tell of a change: at once after a pause, and else once for all that comes within a short time. */
  _changed() {
    this._due ||= setTimeout(() => this._tell(), Math.max(0, this._toldAt + APART_MS - performance.now()));
  }

  _tell() {
    clearTimeout(this._due);
    this._due = undefined;
    this._toldAt = performance.now();
    for (const listener of this._listeners) listener();
  }
}

function addTo(call, type, data) {
  if (type === "spans") call.addSpans(data.spans);
  else call.addLines(data.lines);
}
