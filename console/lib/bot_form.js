// Forms of bots: a new one, and other settings and limits of one that there is.

import { CallError, patch, post } from "./api.js";
import { html, useState } from "./html.js";
import { allWallets, exchangeOf } from "./bots.js";
import { choicesOf, configOf, defaultOf, isInstrument, LIMITS, limitsOf, named, said, storedText, strategies, titleOf, unitOf } from "./strategies.js";
import { Empty, Loaded, Panel, Problem, useLoaded } from "./ui.js";

const EXAMPLES = { okx: "BTC-USDT-SWAP", polymarket: "the outcome's token id" };
const active = (wallet) => wallet.state === "WALLET_STATE_ACTIVE";
const last = (field) => (field || "").split(".").at(-1);

/** An error of REST, or of a number that is none, as one that names its field. */
const told = (problem) => (problem instanceof CallError || !problem.field ? problem
  : new CallError(400, "INVALID_FIELD", `${named(problem.field)}: ${problem.message}`, problem.field));

/** The fields of a strategy's settings; `text` is what each has now. */
function SettingFields({ strategy, exchange, error, text, locked }) {
  const fields = strategy.settings.filter((setting) => !(setting.name === "complementId" && exchange !== "polymarket"));
  return html`<div class="fields">${fields.map((setting) => {
    const { name, required, description } = setting, choices = choicesOf(setting), value = text?.(setting) ?? "";
    const shared = { name, "aria-invalid": last(error?.field) === name || undefined, disabled: locked?.(setting) || undefined };
    const none = defaultOf(setting, exchange) || (isInstrument(setting) ? EXAMPLES[exchange] : required ? "needed" : "none");
    return html`<label key=${strategy.name + name}><span>${named(name)} <span class="quiet small">${unitOf(setting)}</span></span>
      ${choices ? html`<select ...${shared}><option value="">${defaultOf(setting, exchange) || "–"}</option>${choices.map((one) => html`<option value=${one} selected=${one === value}>${one.toLowerCase()}</option>`)}</select>`
        : html`<input ...${shared} inputmode=${isInstrument(setting) ? "text" : "decimal"} required=${required} defaultValue=${value} placeholder=${none} />`}
      <span class="field-note">${said(description)}</span></label>`;
  })}</div>`;
}

const LimitFields = ({ error, limits = {} }) => html`<p class="field-note">One that is left empty does not exist. Money in the currency that the instrument settles in.</p>
  <div class="fields">${LIMITS.map(({ name, label, about, none }) => html`<label key=${name}>${label}
  <input name=${`limits.${name}`} inputmode="decimal" defaultValue=${limits[name] ?? ""} placeholder=${none || "no limit"} aria-invalid=${last(error?.field) === name || undefined} />
  <span class="field-note">${about}</span></label>`)}</div>`;

const reader = (form) => {
  const data = new FormData(form);
  return (name) => (data.get(name) || "").trim();
};

export function NewBot({ who }) {
  const loaded = useLoaded(async () => ({ wallets: (await allWallets()).filter(active), known: await strategies() }), []);
  return html`
    <div class="top"><h1>New bot</h1><div class="aside"><a class="button" href="#/bots">All bots</a></div></div>
    ${who.rest?.scope !== "manage" ? html`<${Empty} title="Not with this token">This session's token may read alone.<//>`
      : html`<${Loaded} of=${loaded} empty=${{ when: (d) => !d.wallets.length, title: "No wallet to trade with", text: html`A bot trades for a wallet: <a href="#/wallets">add one</a> first.` }}>
        ${({ wallets, known }) => html`<${Create} wallets=${wallets} known=${known} />`}<//>`}`;
}

function Create({ wallets, known }) {
  const [walletId, pick] = useState(wallets[0].id);
  const [name, choose] = useState(known.has("market_making") ? "market_making" : [...known.keys()][0]);
  const [error, fail] = useState(null);
  const [busy, set] = useState(false);
  // Sent twice, it makes one bot.
  const [key] = useState(() => crypto.randomUUID());
  const wallet = wallets.find((one) => one.id === walletId), strategy = known.get(name);
  const create = async (event) => {
    event.preventDefault();
    const text = reader(event.target), started = event.submitter?.value === "start";
    set(true);
    fail(null);
    try {
      const made = configOf(strategy, wallet.exchange, text);
      const body = { name: text("name"), walletId, tenant: wallet.tenant, ...made, limits: limitsOf(text) };
      const bot = await post("/bots", body, { "idempotency-key": key });
      if (started) await post(`/bots/${bot.id}/start`);
      location.hash = `#/bots/${bot.id}`;
    } catch (problem) {
      fail(told(problem));
      set(false);
    }
  };
  return html`<form class="settings panel" onSubmit=${create}>
    <fieldset><legend>Who</legend><div class="fields">
      <label>Name <input name="name" required maxlength="64" pattern="[a-zA-Z0-9][a-zA-Z0-9 ._\\-]*" placeholder="btc maker" aria-invalid=${last(error?.field) === "name" || undefined} /></label>
      <label>Wallet <select name="wallet" onChange=${(e) => pick(e.target.value)}>${wallets.map((one) => html`
        <option value=${one.id} selected=${one.id === walletId}>${one.name}: ${one.exchange}, ${one.environment}</option>`)}</select>
        <span class="field-note">Whose money it trades with.</span></label>
    </div></fieldset>
    <fieldset><legend>Strategy</legend>
      <label class="strategy">Strategy <select name="strategy" onChange=${(e) => choose(e.target.value)}>${[...known.keys()].map((one) => html`
        <option value=${one} selected=${one === name}>${titleOf(one)}</option>`)}</select><span class="field-note">${said(strategy.description)}</span></label>
      <${SettingFields} key=${name + wallet.exchange} strategy=${strategy} exchange=${wallet.exchange} error=${error} /></fieldset>
    <fieldset><legend>Limits</legend><${LimitFields} error=${error} /></fieldset>
    ${error && html`<${Problem} error=${error} />`}
    <footer><button type="submit" disabled=${busy}>Create</button><button type="submit" class="primary" value="start" disabled=${busy}>Create and start</button></footer>
  </form>`;
}

/** Settings and limits of a bot, to look at and to change. */
export function BotSettings({ of: bot, may, onSaved }) {
  const known = useLoaded(strategies, []);
  const [saved, say] = useState("");
  return html`<${Panel} wide title="Settings" aside=${titleOf(bot.strategy)}><${Loaded} of=${known}>${(all) => (all.has(bot.strategy)
    ? html`<${Change} key=${bot.version} bot=${bot} strategy=${all.get(bot.strategy)} may=${may} saved=${saved}
      onText=${() => say("")} onSaved=${() => { say("Saved."); onSaved(); }} />`
    : html`<p class="quiet">This version does not know the strategy.</p>`)}<//><//>`;
}

function Change({ bot, strategy, may, saved, onText, onSaved }) {
  const [error, fail] = useState(null);
  const exchange = exchangeOf(bot.instruments[0]), config = bot.config?.[strategy.configKey] || {};
  const save = async (event) => {
    event.preventDefault();
    const text = reader(event.target);
    try {
      // What cannot be changed is not in the form's data, and stays as it is.
      const { config: made } = configOf(strategy, exchange, text);
      const settings = { ...made[strategy.configKey] };
      for (const { name } of strategy.settings) {
        if (event.target.elements[name]?.disabled && config[name] != null) settings[name] = config[name];
      }
      await patch(`/bots/${bot.id}`, { config: { [strategy.configKey]: settings }, limits: limitsOf(text), version: bot.version });
      fail(null);
      onSaved();
    } catch (problem) {
      fail(told(problem));
    }
  };
  return html`<form class="settings" onSubmit=${save} onInput=${onText}>
    <fieldset disabled=${!may}><legend>Strategy</legend>
      <${SettingFields} strategy=${strategy} exchange=${exchange} error=${error} text=${(setting) => storedText(setting, exchange, config)} locked=${isInstrument} /></fieldset>
    <fieldset disabled=${!may}><legend>Limits</legend><${LimitFields} error=${error} limits=${bot.limits} /></fieldset>
    ${error && html`<${Problem} error=${error} />`}
    ${may && html`<footer><span role="status" class="up">${saved}</span><span class="quiet small">version ${bot.version}${bot.appliedVersion != null && bot.appliedVersion !== bot.version ? `; its engine goes by ${bot.appliedVersion} so far` : ""}</span>
      <button type="submit" class="primary">Save settings</button></footer>`}
  </form>`;
}
