/** The page: which view is shown, and the keys that work everywhere. */

import { Component, html, render } from "./preact.js";
import { CallView } from "./call_view.js";
import { CompareView } from "./compare_view.js";
import { Help } from "./help.js";
import { ListView } from "./list_view.js";
import { titleOf } from "./figures.js";
import { makeSource } from "./source.js";
import { Store } from "./store.js";

/** What the address asks for. */
function routeOf(hash) {
  let words;
  try {
    words = hash.replace(/^#\/?/, "").split("/").map(decodeURIComponent);
  } catch {
    return { view: "list" };
  }
  if (words[0] === "call" && words[1])
    return { view: "call", ids: [words[1]], span: words[2] === "span" ? words[3] : undefined };
  if (words[0] === "compare" && words[1] && words[2]) return { view: "compare", ids: [words[1], words[2]] };
  return { view: "list", ids: [] };
}

class App extends Component {
  constructor(props) {
    super(props);
    this.state = { route: this._route(), isHelp: false };
  }

  /** A report of a single call opens on it. */
  _route() {
    const route = routeOf(location.hash);
    const { store } = this.props;
    if (route.view === "list" && !location.hash && store.isReport && store.sessions.size === 1)
      return { view: "call", ids: [store.sessions.keys().next().value] };
    return route;
  }

  componentDidMount() {
    const { store } = this.props;
    store.subscribe(() => this.setState({ route: this._isRouted ? this.state.route : this._route() }));
    addEventListener("hashchange", () => {
      this._isRouted = true;
      this.setState({ route: this._route() });
    });
    addEventListener("keydown", (event) => this._key(event));
    this._follow();
  }

  componentDidUpdate() {
    this._follow();
  }

  /** Get what the view needs. */
  _follow() {
    const { store } = this.props;
    const { route } = this.state;
    for (const id of route.ids || []) store.open(id);
    const names = (route.ids || [])
      .map((id) => store.sessions.get(id))
      .filter(Boolean)
      .map(titleOf);
    document.title = `${names.join(" and ") || "Conversations"} · pipecat-dd`;
  }

  _key(event) {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || this.state.isHelp) return;
    const isTyping = event.target.closest?.("input, select, textarea");
    if (isTyping) return;
    if (event.key === "?") this.setState({ isHelp: true });
    else if (!this._view?.globalKey?.(event)) {
      if (event.key !== "Escape" || this.state.route.view === "list" || this.props.store.sessions.size < 2)
        return;
      location.hash = "#/";
    }
    event.preventDefault();
  }

  render({ store }, { route, isHelp }) {
    return html`
      <a
        class="skip"
        href="#page"
        onClick=${(event) => {
          event.preventDefault();
          document.querySelector("main")?.querySelector("[tabindex], a, button")?.focus();
        }}
        >Skip to the content</a
      >
      <nav class="top" aria-label="Page">
        <a class="brand" href="#/"
          ><svg viewBox="0 0 16 16" width="18" height="18" aria-hidden="true">
            <rect width="16" height="16" rx="3.5"></rect>
            <path d="M3 5h5M6 8h7M3 11h4"></path></svg
          >pipecat-dd</a
        >
        ${route.view !== "list" && !(store.isReport && store.sessions.size < 2) && html`<a class="back" href="#/">← All conversations</a>`}
        <span class="grow"></span>
        ${store.isReport ? html`<span class="muted">report</span>` : !store.isConnected && html`<span class="bad" role="status">${store.problem || "Not connected: trying again …"}</span>`}
        <button
          class="chip"
          aria-haspopup="dialog"
          aria-keyshortcuts="?"
          onClick=${() => this.setState({ isHelp: true })}
        >
          Help <kbd aria-hidden="true">?</kbd>
        </button>
      </nav>
      ${this._main(store, route)}
      ${isHelp && html`<${Help} onClose=${() => this.setState({ isHelp: false })} />`}
    `;
  }

  _main(store, route) {
    const take = (view) => (this._view = view);
    if (store.isReport && !store.isLoaded)
      return html`<main class="nothing" role="status">
        <p>${store.problem || "Opening the report …"}</p>
      </main>`;
    if (route.view === "list")
      return html`<${ListView}
        ref=${take}
        sessions=${store.sessions}
        isReport=${store.isReport}
        isLoaded=${store.isLoaded}
      />`;
    const calls = route.ids.map((id) => store.calls.get(id));
    const problem = calls.find((call) => call?.problem)?.problem;
    if (problem || calls.some((call) => !call))
      return html`<main class="nothing" role="status">
        <p>${problem || "Getting the conversation …"}</p>
      </main>`;
    if (route.view === "call")
      return html`<${CallView}
        key=${route.ids[0]}
        ref=${take}
        call=${calls[0]}
        span=${route.span}
        isReport=${store.isReport}
      />`;
    return html`<${CompareView}
      ref=${take}
      calls=${calls}
      sessions=${store.sessions}
      onChange=${(one, other) => (location.hash = `#/compare/${[one, other].map(encodeURIComponent).join("/")}`)}
    />`;
  }
}

const store = new Store(makeSource());
store.start();
render(html`<${App} store=${store} />`, document.getElementById("page"));
