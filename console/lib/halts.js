// Halts: what is set, and the switch.

import { operate } from "./api.js";
import { word } from "./format.js";
import { html, useState } from "./html.js";
import { Badge, Confirm, Id, Loaded, Table, Time, useLoaded } from "./ui.js";

export function Halts({ who }) {
  const may = who.operator?.scope === "operate";
  const halts = useLoaded(() => (who.operator ? operate("ListHalts") : Promise.resolve({ halts: [] })), [], 3);
  const [asking, ask] = useState(null);
  if (!who.operator) {
    return html`<p class="quiet">This session has no operator's token: halts are neither shown nor set. Log out
      and log in with both tokens, a space between them.</p>`;
  }
  return html`<${Loaded} of=${halts}>${({ halts: set }) => html`
    <div class="halts">
      <p class="state">${set.length
        ? html`<${Badge} tone="bad" text=${`${set.length} halt${set.length > 1 ? "s" : ""} set`} />`
        : html`<${Badge} tone="ok" text="Nothing is halted" />`}</p>
      ${may && html`<div>
        <button type="button" class="danger" onClick=${() => ask({ scope: "HALT_SCOPE_GLOBAL" })}>Halt everything</button>
        <button type="button" onClick=${() => ask({ scope: "HALT_SCOPE_WALLET" })}>Halt a wallet, a leader or a market</button>
      </div>`}
    </div>
    ${set.length > 0 && html`<${Table} label="Halts" rows=${set} rowKey=${(h) => h.scope + h.subject} columns=${[
      { name: "what", cell: (h) => html`${word(h.scope, "HALT_SCOPE_")} ${h.subject && html`<${Id} of=${h.subject} />`}` },
      { name: "mode", cell: (h) => html`<${Badge} text=${word(h.mode, "HALT_MODE_")} />` },
      { name: "why", cell: (h) => h.reason },
      { name: "since", cell: (h) => html`<${Time} at=${h.setAt} />` },
      { name: "", right: true, cell: (h) => may && html`<button type="button" onClick=${() => ask({ clear: h })}>Clear</button>` },
    ]} />`}
    ${asking?.clear && html`<${Confirm} title="Clear this halt?" action="Clear" danger
      text=${`Orders of ${word(asking.clear.scope, "HALT_SCOPE_")} ${asking.clear.subject} leave again at once. It was set because: ${asking.clear.reason}`}
      onDo=${() => operate("ClearHalt", { scope: asking.clear.scope, subject: asking.clear.subject })}
      onEnd=${() => { ask(null); halts.reload(); }} />`}
    ${asking?.scope && html`<${SetHalt} scope=${asking.scope} onEnd=${() => { ask(null); halts.reload(); }} />`}`}<//>`;
}

function SetHalt({ scope: first, onEnd }) {
  const [scope, choose] = useState(first);
  const go = (form) => operate("SetHalt", {
    scope, subject: form.get("subject") || "", mode: form.get("mode"), reason: form.get("reason"),
  });
  return html`<${Confirm} title=${scope === "HALT_SCOPE_GLOBAL" ? "Halt everything" : "Set a halt"} action="Halt" danger onDo=${go} onEnd=${onEnd}
    text="When this has answered, nothing that it forbids leaves. What is already on its way is not called back.">
    <label>What
      <select value=${scope} onChange=${(e) => choose(e.target.value)}>
        <option value="HALT_SCOPE_GLOBAL">everything</option><option value="HALT_SCOPE_WALLET">a follower's wallet</option>
        <option value="HALT_SCOPE_LEADER">a leader</option><option value="HALT_SCOPE_MARKET">a market</option>
      </select></label>
    ${scope !== "HALT_SCOPE_GLOBAL" && html`<label>Which
      <input name="subject" required placeholder=${scope === "HALT_SCOPE_MARKET" ? "0x and 64 hex digits" : "0x and 40 hex digits"} /></label>`}
    <label>How
      <select name="mode"><option value="HALT_MODE_REDUCING">reducing: exits go on, stop-losses fire</option>
        <option value="HALT_MODE_HALTED">halted: nothing leaves, stop-losses neither</option></select></label>
    <label>Why <input name="reason" required maxlength="500" placeholder="Others read this at three in the morning" /></label>
  <//>`;
}
