// Draws the key pairs of a ring as bars on a timeline. The table beside it has the same times.

import { duration, HOURS } from "./times.js";

/** @typedef {import("./data.js").KeyPair} KeyPair */
/** @typedef {"pending" | "standby" | "signs" | "drains"} Kind */
/** @typedef {{ from: number, to: number, kind: Kind }} Segment */

const SVG = "http://www.w3.org/2000/svg";
const ROW = 48; // The sizes are pixels.
const BAR_TOP = 21;
const BAR = 16;
const AXIS = 30;
const WIDTH_OF_TICK = 84;
const MINUTE = 60_000;
const DAY = 1_440 * MINUTE;
const LONGEST_STEP = 525_600; // Minutes.
const STEPS = [1, 2, 5, 15, 30, 60, 180, 360, 720, 1_440, 2_880, 10_080, 20_160, 43_200, 129_600];

const DOING = {
  pending: "not imported yet",
  published: "standby",
  active: "signs",
  retiring: "to be deleted",
  retired: "deleted",
};

/** The state of a key pair and what it does now. @param {KeyPair} pair @param {number} now */
export function doing(pair, now) {
  if (pair.compromised) return `${pair.state}: compromised`;
  if (pair.drained_at === null) return `${pair.state}: ${DOING[pair.state]}`;
  const left = (Date.parse(pair.drained_at) - now) / 1_000;
  return `${pair.state}: ${left > 0 ? `drains, ${duration(left)} left` : "has drained"}`;
}

/**
 * Draw the key pairs that are not retired.
 * @param {SVGSVGElement} svg With a title.
 * @param {KeyPair[]} pairs
 * @param {number} now
 * @param {number} width
 */
export function draw(svg, pairs, now, width) {
  const shown = pairs.filter((pair) => pair.state !== "retired");
  const height = shown.length * ROW + AXIS;
  const [from, to] = rangeOf(shown, now);
  const x = (/** @type {number} */ at) =>
    ((Math.min(Math.max(at, from), to) - from) / (to - from)) * width;
  const drawn = [
    ...ticks(from, to, width).map((at) => tick(x(at), at, to - from, height, width)),
    ...shown.flatMap((pair, row) =>
      segmentsOf(pair, now).map((one) => bar(x(one.from), x(one.to), row, one.kind, svg.id)),
    ),
    shape("line", { x1: x(now), x2: x(now), y1: 0, y2: height - AXIS + 4, class: "now" }),
    ...shown.map((pair, row) =>
      text(0, row * ROW + 14, `${pair.key_id} ${doing(pair, now)}`, "label"),
    ),
  ];
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.setAttribute("height", String(height));
  const title = svg.querySelector("title");
  svg.replaceChildren(...(title ? [title] : []), patternOf(svg.id), ...drawn);
}

/**
 * From when to when: all of what runs down now, else the life of the key pairs so far.
 * @param {KeyPair[]} pairs
 * @param {number} now
 * @returns {[number, number]}
 */
export function rangeOf(pairs, now) {
  const draining = pairs.filter((pair) => Date.parse(pair.drained_at ?? "") > now);
  const begins = draining.length
    ? draining.map((pair) => Date.parse(pair.signing_ended_at ?? pair.created_at))
    : pairs.map((pair) => Date.parse(pair.created_at));
  const ends = draining.map((pair) => Date.parse(pair.drained_at ?? ""));
  const [first, last] = [Math.min(now - 5 * MINUTE, ...begins), Math.max(now, ...ends)];
  const margin = (last - first) * 0.08;
  return [first - margin, last + margin];
}

/**
 * @param {KeyPair} pair
 * @param {number} now
 * @returns {Segment[]}
 */
export function segmentsOf(pair, now) {
  const [created, published, activated, ended, drained] = [
    pair.created_at,
    pair.published_at,
    pair.activated_at,
    pair.signing_ended_at,
    pair.drained_at,
  ].map((at) => (at === null ? null : Date.parse(at)));
  /** @type {Segment[]} */
  const segments = [{ from: created ?? now, to: published ?? now, kind: "pending" }];
  if (published) segments.push({ from: published, to: activated ?? now, kind: "standby" });
  if (activated) segments.push({ from: activated, to: ended ?? now, kind: "signs" });
  if (ended) segments.push({ from: ended, to: drained ?? now, kind: "drains" });
  return segments;
}

/** @param {number} from @param {number} to @param {number} width */
function ticks(from, to, width) {
  const most = Math.max(2, Math.floor(width / WIDTH_OF_TICK));
  const fits = (/** @type {number} */ minutes) => (to - from) / (minutes * MINUTE) <= most;
  const step = (STEPS.find(fits) ?? LONGEST_STEP) * MINUTE;
  const shift = new Date(to).getTimezoneOffset() * MINUTE; // So that days begin at midnight here.
  const first = Math.ceil((from - shift) / step) * step + shift;
  return Array.from({ length: Math.floor((to - first) / step) + 1 }, (_, at) => first + at * step);
}

/**
 * @param {number} x
 * @param {number} at
 * @param {number} span
 * @param {number} height
 * @param {number} width
 */
function tick(x, at, span, height, width) {
  const date = new Date(at);
  const label =
    span > 2 * DAY
      ? date.toLocaleDateString([], { day: "numeric", month: "short" })
      : date.toLocaleTimeString([], HOURS);
  const group = shape("g", { class: "tick" });
  const middle = Math.min(Math.max(x, 22), width - 22);
  group.append(
    shape("line", { x1: x, x2: x, y1: 0, y2: height - AXIS + 4 }),
    text(middle, height - 8, label, "time"),
  );
  return group;
}

/**
 * @param {number} from
 * @param {number} to
 * @param {number} row
 * @param {Kind} kind
 * @param {string} of The ID of the drawing.
 */
function bar(from, to, row, kind, of) {
  const [y, width] = [row * ROW + BAR_TOP, Math.max(to - from, 1)];
  const drawn = shape("rect", { x: from, y, width, height: BAR, rx: 3, class: `bar ${kind}` });
  if (kind === "drains") drawn.setAttribute("fill", `url(#${of}-lines)`);
  return drawn;
}

/**
 * Lines across what drains, so that it differs from what signs without its color.
 * @param {string} of The ID of the drawing.
 */
function patternOf(of) {
  const pattern = shape("pattern", {
    id: `${of}-lines`,
    width: 6,
    height: 6,
    patternUnits: "userSpaceOnUse",
    patternTransform: "rotate(45)",
  });
  pattern.append(shape("rect", { width: 6, height: 6, class: "gap" }));
  pattern.append(shape("rect", { width: 3, height: 6, class: "line" }));
  return pattern;
}

/** @param {number} x @param {number} y @param {string} words @param {string} kind */
function text(x, y, words, kind) {
  const created = shape("text", { x, y, class: kind });
  created.textContent = words;
  return created;
}

/** @param {string} name @param {Record<string, string | number>} attributes */
function shape(name, attributes) {
  const created = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) created.setAttribute(key, String(value));
  return created;
}
