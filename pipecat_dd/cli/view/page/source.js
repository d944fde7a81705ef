/** Where conversations come from: the server that the page came from, or the report itself. */

/** A report: all of it is in the page. */
class ReportSource {
  constructor(element) {
    this._data = read(element);
    this.isReport = true;
  }

  async sessions() {
    const data = await this._data;
    return { sessions: data.sessions, seq: 0 };
  }

  async call(id) {
    const { calls } = await this._data;
    if (!Object.hasOwn(calls, id)) throw new Error("This report does not have that conversation.");
    return calls[id];
  }

  follow() {}
}

/** The data in an element of the page; a large report's is packed. */
async function read(element) {
  if (!element.dataset.packed) return JSON.parse(element.textContent);
  const packed = Uint8Array.from(atob(element.textContent), (letter) => letter.charCodeAt(0));
  const unpacked = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(unpacked).json();
}

/** The server: asked once for each conversation, and listened to from then on. */
class LiveSource {
  constructor() {
    this.isReport = false;
    this._token = new URLSearchParams(location.search).get("token");
  }

  _address(path, more = {}) {
    const address = new URL(path, location.origin);
    for (const [name, value] of Object.entries(more)) address.searchParams.set(name, value);
    if (this._token) address.searchParams.set("token", this._token);
    return address;
  }

  async _get(path) {
    let response;
    try {
      response = await fetch(this._address(path), { cache: "no-store" });
    } catch {
      throw new Error("pipecat-dd view does not answer: trying again …");
    }
    if (response.status === 401 || response.status === 403)
      throw new Error(
        "The token in the address is not that of this pipecat-dd view: open the address that it has printed.",
      );
    if (response.status === 404) throw new Error("That conversation is no longer kept.");
    if (!response.ok) throw new Error(`The server answered with ${response.status}.`);
    return response.json();
  }

  sessions() {
    return this._get("/api/sessions");
  }

  call(id) {
    return this._get(`/api/sessions/${encodeURIComponent(id)}`);
  }

  /** Listen from a place in the stream; `take` gets each event's type and data. */
  follow(seq, take, onState) {
    this._stream?.close();
    const stream = new EventSource(this._address("/api/events", { since: seq }));
    this._stream = stream;
    for (const type of ["sessions", "spans", "lines", "gone", "reset"])
      stream.addEventListener(type, (event) => take(type, JSON.parse(event.data)));
    stream.onopen = () => onState(true);
    stream.onerror = () => {
      onState(false);
      // The browser tries again by itself, unless the server refused.
      if (stream.readyState === EventSource.CLOSED && this._stream === stream)
        setTimeout(() => take("reset", {}), 3000);
    };
  }
}

export function makeSource() {
  const data = document.getElementById("data");
  return data ? new ReportSource(data) : new LiveSource();
}
