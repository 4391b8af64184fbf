// Following a leader: what it would have brought, and a new subscription.

import { get, post } from "./api.js";
import { html, useState } from "./html.js";
import { Form, Outcome } from "./settings.js";
import { Empty, Id, Panel, Problem } from "./ui.js";

const DAY_MS = 86_400_000;

/** What following would have brought, by the leader's recorded past. */
export function Simulation({ wallet }) {
  const [{ answer, error, busy }, set] = useState({});
  const ask = async (event) => {
    event.preventDefault();
    const text = (name) => event.target.elements[name].value.trim();
    const size = { [text("mode")]: text("size") };
    set({ busy: true });
    try {
      set({ answer: await get(`/leaders/${wallet}/simulation`, {
        ...size, delaySeconds: text("delay"), maxPerTrade: text("maxPerTrade"), maxSlippage: text("maxSlippage"), budget: text("budget"),
        fromMs: Date.now() - Number(text("days")) * DAY_MS,
      }) });
    } catch (problem) {
      if (problem.status === 429) problem.message = "Another one is being computed. Ask again in a moment.";
      set({ error: problem });
    }
  };
  return html`<${Panel} wide title="What following would have brought" aside="nothing is ordered">
    <form class="row" onSubmit=${ask}>
      <label>Each copy <select name="mode"><option value="amount">a fixed amount</option><option value="ratio">a ratio of his</option></select></label>
      <label>Amount or ratio <input name="size" required inputmode="decimal" value="10" /></label>
      <label>Most for one trade, USDC <input name="maxPerTrade" inputmode="decimal" placeholder="no limit" /></label>
      <label>Worst price, part above his <input name="maxSlippage" inputmode="decimal" placeholder="0.03" /></label>
      <label>Money at first, USDC <input name="budget" inputmode="decimal" placeholder="as much as needed" /></label>
      <label>After him <select name="delay"><option value="1">1 s</option><option value="3">3 s</option><option value="10">10 s</option></select></label>
      <label>Over <select name="days"><option value="7">7 days</option><option value="30" selected>30 days</option><option value="90">90 days</option><option value="365">a year</option></select></label>
      <button type="submit" class="primary" disabled=${busy}>Simulate</button>
    </form>
    <div class="preview" aria-busy=${!!busy} aria-live="polite">
      ${busy && html`<div class="skeleton"></div>`}
      ${error && html`<${Problem} error=${error} />`}
      ${answer && html`<${Outcome} of=${answer} />`}
    </div>
  <//>`;
}

/** A new subscription, with the settings' form and what they would have made of yesterday. */
export function Follow({ leader, who }) {
  const [shadow, make] = useState(false);
  // Sent twice, it makes one subscription.
  const [key] = useState(() => crypto.randomUUID());
  const create = async (groups, form) => {
    const text = (name) => (form.get(name) || "").trim();
    const made = await post("/subscriptions", {
      leader, shadow, ...groups, start: text("start") || undefined, paused: text("paused") === "true",
      follower: { followerUserId: text("user"), followerWalletId: text("walletId"), followerProxy: text("proxy") },
    }, { "idempotency-key": key });
    location.hash = `#/subscriptions/${made.id}`;
  };
  return html`
    <div class="top"><h1>Follow a leader</h1><span class="quiet"><${Id} of=${leader} /></span>
      <div class="aside"><a class="button" href=${`#/leaders/${leader}`}>The leader</a></div></div>
    ${who.rest?.scope !== "manage" ? html`<${Empty} title="Not with this token">This session's token may read alone.<//>`
      : html`<${Panel} wide><${Form} fresh may of=${{ sizing: { fixed: { amount: "10" } }, shadow }} title="Follow this leader?" action="Follow" said="" onSave=${create}
          preview=${(groups) => post("/backtests", { leader, ...groups })}>
        <fieldset><legend>Who follows</legend><div class="fields">
          <label>Wallet <input name="proxy" required pattern="0x[0-9a-fA-F]{40}" placeholder="0x and 40 hex digits" spellcheck=${false} /><span class="field-note">That holds the money and the shares.</span></label>
          <label>User <input name="user" required maxlength="128" pattern="[!-~]+" spellcheck=${false} /><span class="field-note">The backend's id of the follower.</span></label>
          <label>Wallet at the provider <input name="walletId" required maxlength="128" pattern="[!-~]+" spellcheck=${false} /><span class="field-note">Its id there, no address.</span></label>
          <label>Kind <select name="kind" onChange=${(e) => make(e.target.value === "shadow")}><option value="real">real: it orders</option><option value="shadow">shadow: it decides and orders nothing</option></select><span class="field-note">For good.</span></label>
          <label>Begins with <select name="start"><option value="">his next trade</option><option value="START_MODE_MIRROR">what he holds now, too</option></select><span class="field-note">What he holds is bought once, by itself.</span></label>
          <label>State <select name="paused"><option value="">active at once</option><option value="true">paused until it is resumed</option></select></label>
        </div></fieldset>
      <//><//>`}`;
}
