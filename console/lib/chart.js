// Line charts by uPlot, in the page's colours, as wide as their place.

import uPlot from "../vendor/uplot.js";
import { html, useEffect, useRef, useState } from "./html.js";

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

/**
 * A chart over time.
 *
 * times: seconds of the epoch, rising. lines: [{name, values, tone, fill, step, dash, right, through,
 * dots}]: right has a scale of its own, through goes on over gaps, dots has points alone. value: how
 * a figure is written; tick: the same on the axis.
 */
export function Chart({ times, lines, height = 180, value = (v) => String(v), tick = value, label }) {
  const place = useRef(null);
  const [turn, again] = useState(0);
  useEffect(() => {
    const node = place.current;
    const series = lines.map((line) => ({
      label: line.name,
      stroke: () => colour(line.tone || "accent"),
      fill: line.fill ? () => colour("accent-soft") : undefined,
      width: 1.5,
      dash: line.dash ? [5, 4] : undefined,
      spanGaps: !!line.through,
      scale: line.right ? "right" : "y",
      points: line.dots
        ? { show: true, size: 7, fill: () => colour(line.tone || "accent") }
        : { show: line.values.filter((v) => v != null).length < 3 },
      paths: line.dots ? () => null : line.step ? uPlot.paths.stepped({ align: 1 }) : undefined,
      value: (_, v) => (v == null ? "–" : value(v)),
    }));
    const axis = { stroke: () => colour("quiet"), grid: { stroke: () => colour("line"), width: 1 }, ticks: { show: false } };
    const amounts = { ...axis, size: 64, values: (_, ticks) => ticks.map((v) => (v == null ? "" : tick(v))) };
    const newest = [times.length - 1, ...lines.map((line) => line.values.findLastIndex((v) => v != null))];
    const plot = new uPlot(
      {
        width: node.clientWidth || 300,
        height,
        series: [{}, ...series],
        axes: [axis, amounts, ...(lines.some((line) => line.right)
          ? [{ ...amounts, scale: "right", side: 1, grid: { show: false } }] : [])],
        cursor: { y: false },
        legend: { show: lines.length > 1, live: true },
        // Without a pointer the legend has the newest figures.
        hooks: { setCursor: [(u) => u.cursor.idx == null && u.setLegend({ idxs: newest }, false)] },
      },
      [times, ...lines.map((line) => line.values)],
      node,
    );
    plot.setLegend({ idxs: newest }, false);
    const resized = new ResizeObserver(() => plot.setSize({ width: node.clientWidth, height }));
    resized.observe(node);
    const scheme = matchMedia("(prefers-color-scheme: dark)");
    const redraw = () => again((n) => n + 1);
    scheme.addEventListener("change", redraw);
    return () => {
      scheme.removeEventListener("change", redraw);
      resized.disconnect();
      plot.destroy();
    };
  }, [times, lines, turn]);
  return html`<div class="chart" ref=${place} role="img" aria-label=${label}></div>`;
}

/** A small line without axes. */
export function Spark({ values, width = 96, height = 24, label }) {
  const known = values.filter((v) => v != null);
  if (known.length < 2) return html`<span class="quiet">–</span>`;
  const low = Math.min(...known), high = Math.max(...known), range = high - low || 1;
  const points = values
    .map((v, i) => (v == null ? null : `${((i * width) / (values.length - 1)).toFixed(1)},${(height - 2 - ((v - low) * (height - 4)) / range).toFixed(1)}`))
    .filter(Boolean)
    .join(" ");
  const up = known[known.length - 1] >= known[0];
  return html`<svg class=${`spark ${up ? "up" : "down"}`} width=${width} height=${height} role="img" aria-label=${label}>
    <polyline points=${points} fill="none" stroke="currentColor" stroke-width="1.5" />
  </svg>`;
}
