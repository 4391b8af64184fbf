// The console: who is logged in, where he is, and the frame around each page.

import { onLoggedOut, session } from "./lib/api.js";
import { html, render, useEffect, useState } from "./lib/html.js";
import { live } from "./lib/live.js";
import { Problem } from "./lib/ui.js";

const PAGES = [
  ["overview", "Overview"], ["tape", "Live tape"], ["leaders", "Leaders"], ["subscriptions", "Subscriptions"],
  ["orders", "Orders"], ["guard", "Guard"], ["bots", "Bots"], ["wallets", "Wallets"], ["risk", "Risk"], ["engines", "Engines"], ["system", "System"],
];
const OTHERS = [["why", "Why"]]; // Reached by links.
const TITLES = new Map([...PAGES, ...OTHERS]);
const OF_COPIES = new Set(["overview", "tape", "leaders", "subscriptions", "orders", "guard"]);

/** Pages for who has logged in: copies are Polymarket's, and nothing to an operator of another exchange. */
function pagesOf({ rest }) {
  const copies = rest?.role !== "operator" || rest.exchanges.includes("polymarket");
  return copies ? PAGES : PAGES.filter(([name]) => !OF_COPIES.has(name));
}

/** Where the address says that the reader is: #/orders/abc?state=x -> {page, id, query}. */
function place() {
  const [path, search = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const [page = "", ...rest] = path.split("/");
  return {
    page: TITLES.has(page) ? page : "",
    id: decodeURIComponent(rest.join("/")),
    query: new URLSearchParams(search),
  };
}

function Login({ onDone, note }) {
  const [error, fail] = useState(null);
  const [byToken, choose] = useState(false);
  const [renews, renew] = useState(false);
  const begin = async (event) => {
    event.preventDefault();
    const given = Object.fromEntries(new FormData(event.target));
    const login = byToken ? { tokens: given.tokens.split(/[\s+]+/).filter(Boolean) } : given;
    try {
      onDone(await session.begin(login));
    } catch (problem) {
      if (problem.status === 401)
        problem.message = byToken ? "Nobody has this token, or it was withdrawn." : "Wrong name or password.";
      if (problem.field === "newPassword") renew(true);
      fail(problem);
    }
  };
  return html`<main class="login panel">
    <div class="brand"><img src="icon.svg" alt="" />Trading Tools</div>
    ${note && html`<p role="status">${note}</p>`}
    <form onSubmit=${begin} class="grid-form" key=${byToken}>
      ${byToken
        ? html`<label>Token
            <input name="tokens" type="password" autocomplete="off" required autofocus
              aria-describedby="token-note" />
          </label>
          <p id="token-note" class="field-note">A token of REST, an operator's, or both with a space between
            them. It stays on the server's side of your session.</p>`
        : html`<label>Name <input name="user" autocomplete="username" required autofocus /></label>
          <label>Password
            <input name="password" type="password" autocomplete="current-password" required />
          </label>
          ${renews && html`<label>New password
            <input name="newPassword" type="password" autocomplete="new-password" minlength="12" required />
          </label>
          <p class="field-note">Choose one of 12 characters or more: the other was for one login.</p>`}`}
      ${error && html`<${Problem} error=${error} />`}
      <button class="primary" type="submit">Log in</button>
      <button type="button" onClick=${() => (fail(null), choose(!byToken))}>
        ${byToken ? "Use a name and a password" : "Use a token"}</button>
    </form>
  </main>`;
}

/** What a caller may do: a person by his role, a token by its scope. */
function mayOf({ scope, role, exchanges }) {
  return role === "operator" ? `operator of ${exchanges.join(", ") || "no exchange"}` : role || scope;
}

function Shell({ who, at: asked, onOut }) {
  const pages = pagesOf(who);
  const at = { ...asked, page: asked.page || pages[0][0] };
  const [stream, set] = useState("connecting");
  const [loaded, use] = useState(null);
  const [failed, fail] = useState(null);
  useEffect(() => (who.rest ? live.watch(set) : undefined), [who.rest]);
  useEffect(() => {
    let over = false;
    import(`./pages/${at.page}.js`).then(
      (module) => !over && (fail(null), use({ of: at.page, Page: module.default })),
      (error) => !over && fail(error),
    );
    // On a narrow screen the pages' names are a line that scrolls.
    document.querySelector("nav [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
    document.title = `${TITLES.get(at.page)} · Trading Tools`;
    return () => { over = true; };
  }, [at.page]);
  const names = [who.rest && `${who.rest.id} (${mayOf(who.rest)})`, !who.rest?.role && who.operator && `${who.operator.id} (${who.operator.scope})`];
  return html`<div class="shell">
    ${stream === "away" && html`<div class="banner bad" role="status">
      The engine does not answer. What you see may be old; the page goes on by itself when it is back.</div>`}
    <aside class="side">
      <a class="brand" href="#/"><img src="icon.svg" alt="" />Trading Tools</a>
      <nav aria-label="Pages">${pages.map(([name, title]) => html`
        <a href=${`#/${name}`} aria-current=${name === at.page ? "page" : undefined}>${title}</a>`)}
      </nav>
      <div class="who small quiet">
        <div><span class=${`dot ${stream === "live" ? "ok" : stream === "away" ? "bad" : "warn"}`}></span> ${stream}</div>
        <div>${names.filter(Boolean).join(", ")}</div>
        <button type="button" class="small" onClick=${onOut}>Log out</button>
      </div>
    </aside>
    <main id="main">
      ${failed ? html`<${Problem} error=${failed} />`
        : loaded?.of === at.page ? html`<${loaded.Page} key=${at.page} who=${who} id=${at.id} query=${at.query} />`
        : html`<div class="skeleton"></div>`}
    </main>
  </div>`;
}

function App() {
  const [who, set] = useState(undefined);
  const [error, fail] = useState(null);
  const [at, move] = useState(place);
  const [note, say] = useState("");
  useEffect(() => {
    const moved = () => {
      // A link that logs in, opened in a page that is there: as if the page were opened by it.
      if (location.hash.startsWith("#code=")) location.reload();
      else move(place());
    };
    addEventListener("hashchange", moved);
    const stop = onLoggedOut(() => set(null));
    const linked = location.hash.match(/^#code=([0-9a-f]+)$/);
    // The code leaves the address before anything else is shown.
    if (linked) history.replaceState(null, "", "#/");
    // A link that was used logs in nobody, and nobody out.
    const mine = (problem) => {
      if (problem.status !== 401) throw problem;
      say("The link was used, or is too old. Log in here, or by another link: tt console");
      return session.get();
    };
    const begin = (tries) =>
      (linked ? session.begin({ code: linked[1] }).catch(mine) : session.get()).then(set, (problem) => {
        if (problem.status === 401) set(null);
        else if (tries > 0 && (problem.status === 0 || problem.status >= 500)) setTimeout(begin, 1000, tries - 1);
        else fail(problem);
      });
    begin(20);
    move(place());
    return () => { removeEventListener("hashchange", moved); stop(); };
  }, []);
  const out = async () => {
    live.close();
    await session.end().catch(() => {});
    set(null);
  };
  if (error) return html`<main><${Problem} error=${error} again=${() => location.reload()} /></main>`;
  if (who === undefined) return html`<main><div class="skeleton"></div></main>`;
  if (who === null) return html`<${Login} onDone=${set} note=${note} />`;
  return html`<${Shell} who=${who} at=${at} onOut=${out} />`;
}

render(html`<${App} />`, document.body);
