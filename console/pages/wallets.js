// Wallets: accounts at exchanges that bots trade with. Credentials are sealed here, in the browser, for the signer alone.

import { CallError, get, post, remove } from "../lib/api.js";
import { word } from "../lib/format.js";
import { html, useEffect, useState } from "../lib/html.js";
import { allWallets, botsOf, ExchangeChoice, useExchange } from "../lib/bots.js";
import { canSeal, sealedForNew } from "../lib/seal.js";
import { toUnits } from "../lib/units.js";
import { Badge, Confirm, Id, Loaded, Panel, Table, Time, useLoaded } from "../lib/ui.js";

const TENANT = "default";
const FIELDS = {
  okx: [["api_key", "API key", "text"], ["secret", "Secret", "password"], ["passphrase", "Passphrase", "password"]],
  polymarket: [["private_key", "Private key", "password"], ["funder", "Funder", "text"]],
};
const SIGNATURES = [[0, "the key's own address"], [1, "a proxy"], [2, "a Safe"], [3, "a deposit wallet"]];

export default function Wallets({ who }) {
  const may = who.rest?.scope === "manage";
  const [exchange, choose] = useExchange();
  const wallets = useLoaded(async () => (await allWallets()).filter((one) => !exchange || one.exchange === exchange), [exchange], 10);
  const exchanges = useLoaded(() => get("/exchanges"), []);
  const [asking, ask] = useState(null);
  const [error, fail] = useState("");
  const over = () => { ask(null); wallets.reload(); };
  const check = (wallet) => post(`/wallets/${wallet.id}/check`).then(() => { fail(""); wallets.reload(); }, (problem) => fail(problem.message));
  return html`
    <div class="top"><h1>Wallets</h1><${ExchangeChoice} chosen=${exchange} onChoose=${choose} />
      <div class="aside">${may && exchanges.data?.signer && html`<button type="button" class="primary" onClick=${() => ask({ add: true })}>Add a wallet</button>`}</div></div>
    <div class="grid"><${Panel} wide>
      ${exchanges.data && !exchanges.data.signer && html`<p class="problem" role="status">No signer runs beside this engine, so no wallet can be added: make run SIGNER=1, or BOTS=1.</p>`}
      ${error && html`<p class="problem" role="alert">${error}</p>`}
      <${Loaded} of=${wallets} empty=${{ when: (d) => !d.length, title: "No wallets", text: "An account at an exchange, with a key that may trade and not withdraw." }}>
        ${(data) => html`<${Table} label="Wallets" rows=${data} rowKey=${(w) => w.id} columns=${[
          { name: "wallet", cell: (w) => html`${w.name}<div><${Id} of=${w.id} /></div>` },
          { name: "exchange", cell: (w) => html`${w.exchange} <${Badge} tone=${w.environment === "live" ? "" : "warn"} text=${w.environment} />` },
          { name: "account", hide: "m", cell: (w) => html`<${Id} of=${w.account} />` },
          { name: "may", hide: "m", cell: (w) => w.permissions.split(",").map((one) => word(one).replace(" only", "")).join(", ") },
          { name: "state", cell: (w) => html`<${Badge} tone=${w.problem ? "bad" : w.state === "WALLET_STATE_ACTIVE" ? "ok" : ""} text=${w.problem ? "does not work" : word(w.state, "WALLET_STATE_")} />${w.problem && html`<div class="small down">${w.problem}</div>`}` },
          { name: "checked", hide: "m", cell: (w) => html`<${Time} at=${w.checkedAt} />` },
          { name: "held by", hide: "m", cell: (w) => w.heldBy },
          { name: "", right: true, cell: (w) => html`<div class="actions"><a class="button" href=${botsOf(w.id)}>Bots</a>${may && w.state === "WALLET_STATE_ACTIVE" && html`
            <button type="button" onClick=${() => check(w)}>Check</button><button type="button" onClick=${() => ask({ retire: w })}>Retire</button>`}</div>` },
        ]} />`}
      <//>
    <//>
    <${Panel} wide title="Exchanges"><${Loaded} of=${exchanges}>${(data) => html`<${Table} label="Exchanges" rows=${data.exchanges || []} rowKey=${(e) => e.name} columns=${[
      { name: "exchange", cell: (e) => e.name }, { name: "trades", cell: (e) => (e.kinds || []).join(", ") },
      { name: "environments", cell: (e) => (e.environments || []).join(", ") },
      { name: "orders", hide: "m", cell: (e) => (e.amends ? "can be amended" : "are cancelled and placed again") },
      { name: "leverage", hide: "m", cell: (e) => (e.leverage ? "possible" : "none") },
    ]} />`}<//><//></div>
    ${asking?.retire && html`<${Confirm} title=${`Retire ${asking.retire.name}?`} action="Retire" danger onEnd=${over} onDo=${() => remove(`/wallets/${asking.retire.id}`)}
      text="Its credentials are erased for good, and nothing is signed for it any more. Orders that rest at the exchange stay there." />`}
    ${asking?.add && html`<${Add} exchanges=${exchanges.data.exchanges} onEnd=${over} />`}`;
}

function micros(text) {
  try {
    return toUnits(text, 6);
  } catch (error) {
    throw new CallError(400, "INVALID_FIELD", `Most of one order: expected ${error.message}`, "maxOrder");
  }
}

function Add({ exchanges, onEnd }) {
  const [exchange, choose] = useState(exchanges[0].name);
  const [able, tell] = useState(null);
  const [key, show] = useState(null);
  const [request] = useState(() => crypto.randomUUID());
  useEffect(() => {
    canSeal().then(tell);
    get("/sealing-key").then(show, () => {});
  }, []);
  const { environments = [] } = exchanges.find((one) => one.name === exchange);
  const add = async (form) => {
    const text = (name) => (form.get(name) || "").trim();
    const credentials = Object.fromEntries(FIELDS[exchange].map(([name]) => [name, text(name)]));
    if (exchange === "polymarket") credentials.signature_type = Number(form.get("signature_type"));
    const asked = { tenant: TENANT, name: text("name"), exchange, environment: text("environment") || "live" };
    const maxOrder = text("maxOrder"), maxOrderMicros = micros(maxOrder);
    const sealingKey = await get("/sealing-key");
    const sealed = await sealedForNew(credentials, sealingKey, { ...asked, maxOrderMicros });
    await post("/wallets", { ...asked, maxOrder, keyId: sealingKey.keyId, sealed }, { "idempotency-key": request });
  };
  if (able === false) {
    return html`<${Confirm} title="Add a wallet" action="Close" onDo=${async () => {}} onEnd=${onEnd}
      text="This browser cannot seal credentials here: it needs X25519 in WebCrypto, and HTTPS or this machine's own address. Use the command line, which seals them by itself:">
      <code>tt wallets add NAME --exchange ${exchange} --max-order 1000 --credentials FILE</code><//>`;
  }
  return html`<${Confirm} title="Add a wallet" action="Seal and add" onDo=${add} onEnd=${onEnd}
    text="The credentials are sealed in this browser for the signer alone; no other process can open them. The exchange is asked whether they work.">
    <label>Name <input name="name" required maxlength="64" pattern="[a-zA-Z0-9][a-zA-Z0-9 ._\\-]*" autocomplete="off" /></label>
    <label>Exchange <select name="exchange" value=${exchange} onChange=${(e) => choose(e.target.value)}>${exchanges.map(({ name }) => html`<option value=${name}>${name}</option>`)}</select></label>
    ${environments.length > 1 && html`<label>Environment <select name="environment">${environments.map((one) => html`<option value=${one}>${one}</option>`)}</select></label>`}
    ${FIELDS[exchange].map(([name, label, type]) => html`<label key=${exchange + name}>${label} <input name=${name} type=${type} required=${name !== "funder"} autocomplete="off" spellcheck=${false} /></label>`)}
    ${exchange === "polymarket" && html`<label>The account is <select name="signature_type">${SIGNATURES.map(([value, said]) => html`<option value=${value}>${said}</option>`)}</select></label>`}
    <label>Most of one order, USDC <input name="maxOrder" required inputmode="decimal" value="1000" /></label>
    ${key && html`<p class="field-note">Sealed to the key <code>${key.keyId}</code>; the signer's log says the same.</p>`}
  <//>`;
}
