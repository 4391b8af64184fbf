import { html } from "../lib/html.js";
import { Empty } from "../lib/ui.js";

export default () => html`<${Empty} title="Not built yet">This page comes next.<//>`;
