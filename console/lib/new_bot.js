// A new bot: wallet, strategy with its settings, limits.

import { CallError, post } from "./api.js";
import { html, useState } from "./html.js";
import { allWallets } from "./bots.js";
import { configOf, LIMITS, STRATEGIES } from "./strategies.js";
import { Empty, Loaded, Panel, Problem, useLoaded } from "./ui.js";

const active = (wallet) => wallet.state === "WALLET_STATE_ACTIVE";

export function NewBot({ who }) {
  const wallets = useLoaded(allWallets, []);
  return html`
    <div class="top"><h1>New bot</h1><div class="aside"><a class="button" href="#/bots">All bots</a></div></div>
    ${who.rest?.scope !== "manage" ? html`<${Empty} title="Not with this token">This session's token may read alone.<//>`
      : html`<${Loaded} of=${wallets} empty=${{ when: (d) => !d.some(active), title: "No wallet to trade with", text: html`A bot trades for a wallet: <a href="#/wallets">add one</a> first.` }}>
        ${(data) => html`<${Form} wallets=${data.filter(active)} />`}<//>`}`;
}

const EXAMPLES = { okx: "BTC-USDT-SWAP", polymarket: "the outcome's token id" };

function Form({ wallets }) {
  const [walletId, pick] = useState(wallets[0].id);
  const [strategy, choose] = useState("market_making");
  const [error, fail] = useState(null);
  const [busy, set] = useState(false);
  const wallet = wallets.find((one) => one.id === walletId);
  const create = async (event) => {
    event.preventDefault();
    const form = new FormData(event.target);
    const text = (name) => (form.get(name) || "").trim();
    const instrument = `${wallet.exchange}:${text("instrument")}`;
    const started = event.submitter?.value === "start";
    set(true);
    fail(null);
    try {
      const config = configOf(strategy, wallet.exchange, instrument, text);
      const limits = Object.fromEntries(LIMITS.map(({ name, whole }) => [name, text(`limits.${name}`), whole])
        .filter(([, value]) => value !== "").map(([name, value, whole]) => [name, whole && /^\d+$/.test(value) ? Number(value) : value]));
      const other = config.marketMaking?.complementId;
      const body = { name: text("name"), walletId, tenant: wallet.tenant, config, limits, instruments: other ? [instrument, other] : [instrument] };
      const bot = await post("/bots", body, { "idempotency-key": event.target.dataset.key });
      if (started) await post(`/bots/${bot.id}/start`);
      location.hash = `#/bots/${bot.id}`;
    } catch (problem) {
      fail(problem instanceof CallError ? problem : new CallError(400, "INVALID_FIELD", `${problem.field}: ${problem.message}`, problem.field));
      set(false);
    }
  };
  // Sent twice, it makes one bot.
  const [key] = useState(() => crypto.randomUUID());
  const { about, fields } = STRATEGIES[strategy];
  const wrong = (name) => (error?.field && error.field.split(".").at(-1) === name) || undefined;
  return html`<form class="settings panel" onSubmit=${create} data-key=${key}>
    <fieldset><legend>Who</legend><div class="fields">
      <label>Name <input name="name" required maxlength="64" pattern="[a-zA-Z0-9][a-zA-Z0-9 ._\\-]*" placeholder="btc maker" aria-invalid=${wrong("name")} /></label>
      <label>Wallet <select name="wallet" onChange=${(e) => pick(e.target.value)}>${wallets.map((one) => html`
        <option value=${one.id} selected=${one.id === walletId}>${one.name}: ${one.exchange}, ${one.environment}</option>`)}</select>
        <span class="field-note">Whose money it trades with.</span></label>
      <label>Instrument <input name="instrument" required placeholder=${EXAMPLES[wallet.exchange]} pattern="[A-Za-z0-9_.\\-]+" aria-invalid=${wrong("instruments")} />
        <span class="field-note">As ${wallet.exchange} names it.</span></label>
    </div></fieldset>
    <fieldset><legend>Strategy</legend>
      <label class="strategy">Strategy <select name="strategy" onChange=${(e) => choose(e.target.value)}>${Object.entries(STRATEGIES).map(([name, one]) => html`
        <option value=${name} selected=${name === strategy}>${one.title}</option>`)}</select><span class="field-note">${about}</span></label>
      <div class="fields">${fields.filter(({ kind }) => kind !== "instrument" || wallet.exchange === "polymarket").map((field) => html`<label key=${strategy + field.name}>${field.label}
        ${field.choices ? html`<select name=${field.name}>${field.choices.map(([value, said]) => html`<option value=${value}>${said}</option>`)}</select>`
          : html`<input name=${field.name} inputmode="decimal" required=${field.needed} placeholder=${field.none || (field.needed ? "needed" : "none")} aria-invalid=${wrong(field.name)} />`}
        <span class="field-note">${field.about}</span></label>`)}</div></fieldset>
    <fieldset><legend>Limits</legend><p class="field-note">One that is left empty does not exist. Money in the currency that the instrument settles in.</p>
      <div class="fields">${LIMITS.map(({ name, label, about: said }) => html`<label key=${name}>${label}
        <input name=${`limits.${name}`} inputmode="decimal" placeholder="no limit" aria-invalid=${wrong(name)} /><span class="field-note">${said}</span></label>`)}</div></fieldset>
    ${error && html`<${Problem} error=${error} />`}
    <footer><button type="submit" disabled=${busy}>Create</button><button type="submit" class="primary" value="start" disabled=${busy}>Create and start</button></footer>
  </form>`;
}
